package io.chorale.train.data.read;

import java.io.Closeable;
import java.io.IOException;

/** Rows of one file, in order, read as they are asked for. One thread. */
public interface RowSource extends Closeable {
  /**
   * @return null after the last row
   * @throws IOException if the file cannot be read at all; a row that cannot be is a finding
   */
  RawRow next() throws IOException;

  /** Bytes of the file taken so far, for a progress display. */
  long bytesRead();
}
