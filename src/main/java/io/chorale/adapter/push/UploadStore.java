package io.chorale.adapter.push;

import static io.chorale.adapter.AdapterException.Code.BAD_UPLOAD;
import static io.chorale.adapter.AdapterException.Code.NO_SUCH_UPLOAD;

import io.chorale.adapter.AdapterException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Uploads in progress, {@code ROOT/.uploads/ID/}, and finished ones, {@code ROOT/.pushed/NAME-ID/},
 * inside the first adapter root. A file grows by parts that must follow each other, so an
 * interrupted upload can go on where it stopped. Uploads untouched for an hour are removed when the
 * next one begins. Any thread.
 */
public final class UploadStore {
  private static final Duration FORGOTTEN_AFTER = Duration.ofHours(1);
  private static final int MAX_OPEN = 32;
  private static final Pattern FILE =
      Pattern.compile(
          "adapter_config\\.json|adapter_model\\.safetensors|adapters\\.safetensors|chorale\\.json"
              + "|README\\.md|[A-Za-z0-9_-][A-Za-z0-9._-]{0,100}\\.gguf");

  private final Path root;
  private final long maxBytes;
  private final SecureRandom random = new SecureRandom();

  /**
   * @param root the adapter root that takes them; null if the server has none
   * @param maxBytes of all files of one upload
   */
  public UploadStore(Path root, long maxBytes) {
    this.root = root;
    this.maxBytes = maxBytes;
  }

  /**
   * Begins an upload.
   *
   * @return its id
   * @throws AdapterException BAD_UPLOAD if the server has no adapter root, or too many are open
   */
  public synchronized String create() {
    if (root == null) {
      throw new AdapterException(
          BAD_UPLOAD, "this server has no adapter root; start it with --adapter-root FOLDER");
    }
    try {
      forgetOld();
      byte[] id = new byte[12];
      random.nextBytes(id);
      String name = HexFormat.of().formatHex(id);
      Files.createDirectories(uploads().resolve(name));
      return name;
    } catch (IOException e) {
      throw new UncheckedIOException("cannot begin an upload: " + e.getMessage(), e);
    }
  }

  /**
   * Appends a part.
   *
   * @param offset where the part begins, which must be how much of the file is there
   * @return bytes of the file now
   * @throws AdapterException NO_SUCH_UPLOAD; BAD_UPLOAD naming the file, or the offset wanted
   */
  public synchronized long append(String id, String file, long offset, byte[] part) {
    Path folder = open(id);
    if (!FILE.matcher(file).matches()) {
      throw new AdapterException(
          BAD_UPLOAD,
          "an adapter has no file '%s'; wanted adapter_config.json, adapter_model.safetensors, adapters.safetensors, chorale.json, README.md or NAME.gguf"
              .formatted(file.length() > 60 ? file.substring(0, 60) : file));
    }
    Path path = folder.resolve(file);
    try {
      long had = Files.exists(path) ? Files.size(path) : 0;
      if (offset != had) {
        throw new AdapterException(
            BAD_UPLOAD,
            "the part of %s begins at byte %d, %d bytes are there: send what follows them"
                .formatted(file, offset, had));
      }
      if (bytes(folder) + part.length > maxBytes) {
        throw new AdapterException(
            BAD_UPLOAD, "the upload takes more than %d bytes".formatted(maxBytes));
      }
      try (FileChannel channel =
          FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
        ByteBuffer buffer = ByteBuffer.wrap(part);
        while (buffer.hasRemaining()) {
          channel.write(buffer);
        }
      }
      return had + part.length;
    } catch (IOException e) {
      throw new UncheckedIOException("cannot store %s: %s".formatted(file, e.getMessage()), e);
    }
  }

  /**
   * Ends an upload: its files are forced to the disk and get the place where they stay.
   *
   * @param name of the adapter
   * @return the folder, to be registered or given to {@link #discard}
   */
  public synchronized Path finish(String id, String name) {
    Path folder = open(id);
    try {
      try (Stream<Path> files = Files.list(folder)) {
        for (Path file : files.toList()) {
          try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.force(true);
          }
        }
      }
      Path kept = root.resolve(".pushed").resolve(name + "-" + id);
      Files.createDirectories(kept.getParent());
      return Files.move(folder, kept, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot end the upload: " + e.getMessage(), e);
    }
  }

  /** Gives an upload up; nothing happens if there is none. */
  public synchronized void abandon(String id) {
    find(id).ifPresent(this::discard);
  }

  /** Removes a folder of this store, and nothing outside of it. */
  public synchronized void discard(Path folder) {
    boolean ours =
        root != null
            && Stream.of(uploads(), root.resolve(".pushed"))
                .anyMatch(parent -> folder.normalize().getParent().equals(parent.normalize()));
    if (!ours) {
      throw new IllegalArgumentException(folder + " is no folder of uploads");
    }
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
      Files.delete(folder);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot remove an upload: " + e.getMessage(), e);
    }
  }

  /** Removes earlier pushes of a name once another version has taken over. */
  public synchronized void discardOthers(String name, Path current) {
    Path pushed = root.resolve(".pushed");
    Pattern ofName = Pattern.compile(Pattern.quote(name) + "-[0-9a-f]{24}");
    for (Path folder : children(pushed)) {
      if (ofName.matcher(folder.getFileName().toString()).matches() && !folder.equals(current)) {
        discard(folder);
      }
    }
  }

  private Path uploads() {
    return root.resolve(".uploads");
  }

  private Path open(String id) {
    return find(id)
        .orElseThrow(
            () ->
                new AdapterException(
                    NO_SUCH_UPLOAD, "there is no upload of this id; it may be over an hour old"));
  }

  private Optional<Path> find(String id) {
    if (root == null || !id.matches("[0-9a-f]{24}")) {
      return Optional.empty();
    }
    return Optional.of(uploads().resolve(id)).filter(Files::isDirectory);
  }

  private void forgetOld() throws IOException {
    Instant limit = Instant.now().minus(FORGOTTEN_AFTER);
    int left = 0;
    for (Path folder : children(uploads())) {
      if (lastTouched(folder).isBefore(limit)) {
        discard(folder);
      } else {
        left++;
      }
    }
    if (left >= MAX_OPEN) {
      throw new AdapterException(
          BAD_UPLOAD, "%d uploads are open already; finish or delete one".formatted(left));
    }
  }

  private static Instant lastTouched(Path folder) throws IOException {
    Instant last = Files.getLastModifiedTime(folder).toInstant();
    for (Path file : children(folder)) {
      Instant touched = Files.getLastModifiedTime(file).toInstant();
      last = touched.isAfter(last) ? touched : last;
    }
    return last;
  }

  private static long bytes(Path folder) throws IOException {
    long sum = 0;
    for (Path file : children(folder)) {
      sum += Files.size(file);
    }
    return sum;
  }

  private static List<Path> children(Path folder) {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> list = Files.list(folder)) {
      return list.toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
