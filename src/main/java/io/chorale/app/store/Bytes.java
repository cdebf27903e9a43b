package io.chorale.app.store;

import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.stream.Stream;

/** Whole-file steps that have to be right once: hash, publish, delete, free space. */
final class Bytes {
  static final int BUFFER_BYTES = 1 << 16;

  private Bytes() {}

  /** The file's SHA-256, lower-case hex. */
  static String sha256(Path file) throws IOException {
    MessageDigest digest = sha256();
    try (InputStream in = Files.newInputStream(file)) {
      byte[] buffer = new byte[BUFFER_BYTES];
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        digest.update(buffer, 0, n);
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("this Java has no SHA-256, which every Java must have", e);
    }
  }

  /** Makes a whole file appear under its name at once, its bytes on the disk before its name. */
  static void publish(Path from, Path to) throws IOException {
    if (Files.isRegularFile(from)) {
      try (FileChannel channel = FileChannel.open(from, StandardOpenOption.WRITE)) {
        channel.force(true);
      }
    }
    try {
      Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
    } catch (AtomicMoveNotSupportedException e) {
      throw new IOException(from + " cannot be moved to " + to + " in one step", e);
    }
  }

  /** Deletes a file or a folder with all that is in it; nothing if it is not there. */
  static void delete(Path path) throws IOException {
    if (Files.isDirectory(path)) {
      try (Stream<Path> children = Files.list(path)) {
        for (Path child : children.toList()) {
          delete(child);
        }
      }
    }
    Files.deleteIfExists(path);
  }

  /**
   * @throws IOException saying what the disk has and what was wanted
   */
  static void needSpace(Path folder, long bytes) throws IOException {
    long free = Files.getFileStore(folder).getUsableSpace();
    if (free < bytes) {
      throw new IOException(
          "the disk of %s has %.1f MB free, wanted %.1f MB"
              .formatted(folder, free / 1e6, bytes / 1e6));
    }
  }
}
