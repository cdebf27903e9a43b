package io.chorale.train.data.parquet;

import java.nio.ByteBuffer;

/** Parquet's run-length and bit-packing hybrid: levels, dictionary indices, booleans. */
final class Hybrid {
  private Hybrid() {}

  /**
   * @param in position after the length, if there was one; left anywhere behind the values
   * @param bits of a value, 0 to 32
   */
  static int[] read(ByteBuffer in, int bits, int count) {
    int[] out = new int[count];
    int at = 0;
    while (at < count && bits > 0) {
      long header = ThriftStruct.varint(in);
      if ((header & 1) == 0) {
        int run = (int) Math.min(header >>> 1, count - at);
        int value = 0;
        for (int b = 0; b < (bits + 7) / 8; b++) {
          value |= (in.get() & 0xff) << (8 * b);
        }
        java.util.Arrays.fill(out, at, at + run, value);
        if (run == 0) {
          throw new IllegalArgumentException("a run of no values");
        }
        at += run;
      } else {
        long values = (header >>> 1) * 8;
        BitReader packed = new BitReader(in);
        for (long i = 0; i < values; i++) {
          int value = (int) packed.next(bits);
          if (at < count) {
            out[at++] = value;
          } else if (!in.hasRemaining()) {
            break;
          }
        }
      }
    }
    return out;
  }

  /** Values of some bits, lowest bit first. */
  static final class BitReader {
    private final ByteBuffer in;
    private long held;
    private int heldBits;

    BitReader(ByteBuffer in) {
      this.in = in;
    }

    long next(int bits) {
      long value = 0;
      for (int got = 0; got < bits; ) {
        if (heldBits == 0) {
          held = in.get() & 0xff;
          heldBits = 8;
        }
        int take = Math.min(bits - got, heldBits);
        value |= (held & ((1L << take) - 1)) << got;
        held >>>= take;
        heldBits -= take;
        got += take;
      }
      return value;
    }
  }
}
