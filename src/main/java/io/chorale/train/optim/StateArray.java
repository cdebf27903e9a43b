package io.chorale.train.optim;

import java.nio.ByteBuffer;
import java.util.List;

/**
 * Bytes of optimizer state, zero at first, addressed by a long; little-endian. Reads and writes of
 * different places may go on at once.
 */
final class StateArray {
  /** Bytes a buffer holds, a multiple of every run that is read or written at once. */
  static final int PAGE_BYTES = 1 << 28;

  private final List<ByteBuffer> pages;
  private final long bytes;

  StateArray(List<ByteBuffer> pages) {
    this.pages = List.copyOf(pages);
    this.bytes = pages.stream().mapToLong(ByteBuffer::capacity).sum();
  }

  long bytes() {
    return bytes;
  }

  /** The pages, for reading and writing the whole. */
  List<ByteBuffer> pages() {
    return pages;
  }

  /**
   * @param at in floats; the run must not cross a page
   */
  void read(long at, float[] out, int count) {
    page(4 * at).asFloatBuffer().get(inPage(4 * at) / 4, out, 0, count);
  }

  void write(long at, float[] values, int count) {
    page(4 * at).asFloatBuffer().put(inPage(4 * at) / 4, values, 0, count);
  }

  void read(long at, byte[] out, int count) {
    page(at).get(inPage(at), out, 0, count);
  }

  void write(long at, byte[] values, int count) {
    page(at).put(inPage(at), values, 0, count);
  }

  private ByteBuffer page(long at) {
    return pages.get((int) (at / PAGE_BYTES));
  }

  private static int inPage(long at) {
    return (int) (at % PAGE_BYTES);
  }
}
