package io.chorale.train.data.read;

import java.io.BufferedInputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** The lines of a file as bytes, with where each starts. One thread; one line held at a time. */
final class LineBytes implements Closeable {
  private final InputStream in;
  private byte[] line = new byte[8192];
  private long number;
  private long start;
  private long offset; // of the next byte to read

  LineBytes(Path file) throws IOException {
    this.in = new BufferedInputStream(Files.newInputStream(file), 1 << 16);
  }

  /**
   * Reads the next line into {@link #bytes}.
   *
   * @return its length without the line end, -1 after the last
   */
  int next() throws IOException {
    int length = 0;
    int b = in.read();
    if (b < 0) {
      return -1;
    }
    number++;
    start = offset;
    while (b >= 0 && b != '\n') {
      if (length == line.length) {
        line = Arrays.copyOf(line, 2 * length);
      }
      line[length++] = (byte) b;
      b = in.read();
    }
    offset += length + (b < 0 ? 0 : 1);
    return length;
  }

  /** Valid until the next call of {@link #next}. */
  byte[] bytes() {
    return line;
  }

  /** 1-based. */
  long number() {
    return number;
  }

  /** Byte offset of the line in the file. */
  long start() {
    return start;
  }

  long bytesRead() {
    return offset;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
