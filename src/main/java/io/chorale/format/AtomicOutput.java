package io.chorale.format;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;

/**
 * A file or a folder of plain files that appears under its name only when it is whole: written
 * beside it under a name of its own, forced to the disk, then renamed. A killed process leaves only
 * the unfinished neighbour, {@code .NAME.unfinished-PID}. One thread.
 */
public final class AtomicOutput implements AutoCloseable {
  private final Path target;
  private final Path unfinished;
  private final boolean folder;
  private final boolean force;

  /**
   * @param force replace what is there; a folder only if it is a model's or adapter's folder of
   *     plain files
   * @throws IOException if there is something and it may not be replaced, or too little space
   */
  public AtomicOutput(Path out, boolean folder, boolean force, long bytes) throws IOException {
    this.target = out.toAbsolutePath().normalize();
    this.folder = folder;
    this.force = force;
    checkTarget();
    Path parent = target.getParent();
    Files.createDirectories(parent);
    long free = Files.getFileStore(parent).getUsableSpace();
    if (free < bytes) {
      throw new IOException(
          "%s: takes %d bytes, its disk has %d free".formatted(target, bytes, free));
    }
    this.unfinished =
        target.resolveSibling(
            ".%s.unfinished-%d".formatted(target.getFileName(), ProcessHandle.current().pid()));
    remove(unfinished);
    if (folder) {
      Files.createDirectory(unfinished);
    }
  }

  private void checkTarget() throws IOException {
    if (!Files.exists(target)) {
      return;
    }
    if (!force) {
      throw new FileAlreadyExistsException(
          target + " is there already; choose another name, or --force to replace it");
    }
    if (Files.isDirectory(target) != folder) {
      throw new IOException(
          "%s is a %s, wanted a %s".formatted(target, folder ? "file" : "folder", kind()));
    }
    if (folder && !replaceable()) {
      throw new IOException(
          target
              + " holds other things than one model's or adapter's files and is not replaced; choose another folder");
    }
  }

  private String kind() {
    return folder ? "folder" : "file";
  }

  private boolean replaceable() throws IOException {
    List<Path> children = children(target);
    boolean model =
        children.stream()
            .anyMatch(c -> c.endsWith("config.json") || c.endsWith("adapter_config.json"));
    return children.isEmpty() || model && children.stream().allMatch(Files::isRegularFile);
  }

  private static List<Path> children(Path folder) throws IOException {
    try (Stream<Path> list = Files.list(folder)) {
      return list.toList();
    }
  }

  /** Where to write: the file, or the folder, which is there and empty. */
  public Path path() {
    return unfinished;
  }

  /** Puts it under its name. */
  public void publish() throws IOException {
    Path old = target.resolveSibling(unfinished.getFileName() + "-old");
    if (folder) {
      for (Path file : children(unfinished)) {
        force(file, StandardOpenOption.WRITE);
      }
      force(unfinished, StandardOpenOption.READ);
      checkTarget();
      if (Files.exists(target)) {
        Files.move(target, old, StandardCopyOption.ATOMIC_MOVE);
      }
      Files.move(unfinished, target, StandardCopyOption.ATOMIC_MOVE);
    } else {
      checkTarget();
      Files.move(
          unfinished, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }
    force(target.getParent(), StandardOpenOption.READ);
    remove(old);
  }

  private static void force(Path path, StandardOpenOption mode) throws IOException {
    boolean directory = mode == StandardOpenOption.READ;
    if (directory && System.getProperty("os.name").startsWith("Windows")) {
      return; // no handle on a directory there; NTFS journals the rename itself
    }
    try (FileChannel channel = FileChannel.open(path, mode)) {
      channel.force(true);
    }
  }

  private static void remove(Path path) throws IOException {
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
