package io.chorale.train.data.read;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/**
 * A file whose rows span lines, as characters, with bad bytes replaced by U+FFFD; the bad bytes are
 * looked for in a pass before, so that a row can be told of those in its lines.
 */
final class DecodedFile implements AutoCloseable {
  private static final int MAX_BAD = 10_000; // lines; more are no text file

  private final Path file;
  private final ArrayDeque<Finding> bad = new ArrayDeque<>();
  private final boolean bom;
  private final Counting in;
  private final Reader reader;

  DecodedFile(Path file) throws IOException {
    this.file = file;
    this.bom = scan();
    this.in = new Counting(Files.newInputStream(file));
    this.reader = new InputStreamReader(in, StandardCharsets.UTF_8);
    if (bom && reader.read() != '\uFEFF') {
      throw new IOException(file + ": changed while it was read");
    }
  }

  private boolean scan() throws IOException {
    Utf8Check utf8 = new Utf8Check();
    boolean marked = false;
    try (LineBytes lines = new LineBytes(file)) {
      for (int length = lines.next(); length >= 0; length = lines.next()) {
        marked |= lines.number() == 1 && Utf8Check.isBom(lines.bytes(), length);
        int at = utf8.firstBad(lines.bytes(), length);
        if (at >= 0 && bad.size() < MAX_BAD) {
          bad.add(Utf8Check.finding(file, lines.number(), lines.start() + at, lines.bytes()[at]));
        }
      }
    }
    return marked;
  }

  Reader reader() {
    return reader;
  }

  /** What reading found up to a line that no earlier call has been told. */
  List<Finding> findingsUpTo(long lastLine, boolean first) {
    List<Finding> found = new ArrayList<>();
    if (first && bom) {
      found.add(Utf8Check.bom(file));
    }
    while (!bad.isEmpty() && bad.peek().line() <= lastLine) {
      found.add(bad.poll());
    }
    return found;
  }

  long bytesRead() {
    return in.count;
  }

  @Override
  public void close() throws IOException {
    reader.close();
  }

  private static final class Counting extends FilterInputStream {
    private long count;

    Counting(InputStream in) {
      super(in);
    }

    @Override
    public int read() throws IOException {
      int b = super.read();
      count += b < 0 ? 0 : 1;
      return b;
    }

    @Override
    public int read(byte[] b, int off, int len) throws IOException {
      int n = super.read(b, off, len);
      count += Math.max(0, n);
      return n;
    }
  }
}
