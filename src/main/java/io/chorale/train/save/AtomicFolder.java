package io.chorale.train.save;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;

/**
 * A folder of plain files that appears under its name only when it is whole: written beside it,
 * forced to the disk, then renamed. A killed process leaves only {@code .NAME.unfinished-PID},
 * which the next one removes. One thread.
 */
final class AtomicFolder implements AutoCloseable {
  private static final String UNFINISHED = ".unfinished-";

  private final Path target;
  private final Path unfinished;

  AtomicFolder(Path out) throws IOException {
    this.target = out.toAbsolutePath().normalize();
    Files.createDirectories(target.getParent());
    removeAbandoned();
    this.unfinished =
        target.resolveSibling(
            "." + target.getFileName() + UNFINISHED + ProcessHandle.current().pid());
    remove(unfinished);
    Files.createDirectory(unfinished);
  }

  private void removeAbandoned() throws IOException {
    String prefix = "." + target.getFileName() + UNFINISHED;
    for (Path sibling : children(target.getParent())) {
      String name = sibling.getFileName().toString();
      if (name.startsWith(prefix) && name.substring(prefix.length()).matches("[0-9]{1,9}")) {
        long pid = Long.parseLong(name.substring(prefix.length()));
        if (ProcessHandle.of(pid).isEmpty()) {
          remove(sibling);
        }
      }
    }
  }

  /** Where to write; there, and empty at first. */
  Path path() {
    return unfinished;
  }

  /** Puts it under its name, in place of what is there. */
  void publish() throws IOException {
    for (Path file : children(unfinished)) {
      force(file, StandardOpenOption.WRITE);
    }
    force(unfinished, StandardOpenOption.READ);
    Path old = unfinished.resolveSibling(unfinished.getFileName() + "-old");
    remove(old);
    if (Files.exists(target)) {
      Files.move(target, old, StandardCopyOption.ATOMIC_MOVE);
    }
    Files.move(unfinished, target, StandardCopyOption.ATOMIC_MOVE);
    force(target.getParent(), StandardOpenOption.READ);
    remove(old);
  }

  private static void force(Path path, StandardOpenOption mode) throws IOException {
    if (mode == StandardOpenOption.READ && System.getProperty("os.name").startsWith("Windows")) {
      return; // no handle on a directory there; NTFS journals the rename itself
    }
    try (FileChannel channel = FileChannel.open(path, mode)) {
      channel.force(true);
    }
  }

  static List<Path> children(Path folder) throws IOException {
    try (Stream<Path> list = Files.list(folder)) {
      return list.sorted().toList();
    }
  }

  /** A folder of plain files, or a file, or nothing. */
  static void remove(Path path) throws IOException {
    if (Files.isDirectory(path)) {
      for (Path child : children(path)) {
        Files.delete(child);
      }
    }
    Files.deleteIfExists(path);
  }

  /** Removes what was not published. */
  @Override
  public void close() throws IOException {
    remove(unfinished);
  }
}
