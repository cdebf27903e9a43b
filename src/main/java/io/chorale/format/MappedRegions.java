package io.chorale.format;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Read-only views of parts of one open file, each at most 2 GiB. Small parts are read into memory
 * (a mapping costs pages), large ones mapped. A mapping outlives {@link #close}; the collector
 * frees it.
 */
final class MappedRegions implements AutoCloseable {
  private static final int READ_BELOW_BYTES = 1 << 14;

  private final Path file;
  private final FileChannel channel;
  private final long size;

  MappedRegions(Path file) throws IOException {
    this.file = file;
    this.channel = FileChannel.open(file, StandardOpenOption.READ);
    this.size = channel.size();
  }

  Path file() {
    return file;
  }

  /** Bytes of the file when it was opened. */
  long size() {
    return size;
  }

  /**
   * Bytes {@code offset .. offset + length - 1}, little-endian.
   *
   * @throws UncheckedIOException if the file can no longer be read or shrank since it was opened
   */
  ByteBuffer region(String what, long offset, long length) {
    if (length > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "%s: %s takes %d bytes; one tensor may take at most %d"
              .formatted(file, what, length, Integer.MAX_VALUE));
    }
    try {
      if (channel.size() < offset + length) {
        throw new IOException(
            "%s: shrank to %d bytes since it was opened, %s ends at byte %d"
                .formatted(file, channel.size(), what, offset + length));
      }
      ByteBuffer bytes =
          length < READ_BELOW_BYTES
              ? read(offset, (int) length)
              : channel.map(FileChannel.MapMode.READ_ONLY, offset, length);
      return bytes.asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private ByteBuffer read(long offset, int length) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(length);
    while (bytes.hasRemaining()) {
      if (channel.read(bytes, offset + bytes.position()) < 0) {
        throw new IOException("%s: ended at byte %d".formatted(file, offset + bytes.position()));
      }
    }
    return bytes.flip();
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
