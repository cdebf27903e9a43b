package io.chorale.text;

/**
 * Bytes in, characters out, one byte at a time: a character is appended when its last byte has
 * come. Malformed input becomes U+FFFD, either one per maximal subpart (Unicode 16, section 3.9,
 * table 3-8; what Rust's {@code from_utf8_lossy} does) or one per byte (what the byte-fallback
 * decoder of sentencepiece vocabularies does). Constant work per byte. One thread.
 */
final class Utf8Assembler {
  private static final char REPLACEMENT = '\uFFFD';

  private final boolean replaceEachByte;
  private int codePoint;
  private int seen; // bytes of the character at hand
  private int missing; // bytes that it still needs
  private int low = 0x80; // bounds of the next byte: narrower after E0, ED, F0 and F4
  private int high = 0xBF;

  Utf8Assembler(boolean replaceEachByte) {
    this.replaceEachByte = replaceEachByte;
  }

  void push(byte next, StringBuilder out) {
    int value = next & 0xFF;
    if (missing > 0 && (value < low || value > high)) {
      finish(out); // the byte may begin a character of its own
    }
    if (missing == 0) {
      begin(value, out);
      return;
    }
    codePoint = codePoint << 6 | value & 0x3F;
    seen++;
    low = 0x80;
    high = 0xBF;
    if (--missing == 0) {
      out.appendCodePoint(codePoint);
      seen = 0;
    }
  }

  /** Gives up the character at hand, if any. */
  void finish(StringBuilder out) {
    if (missing > 0) {
      out.append(String.valueOf(REPLACEMENT).repeat(replaceEachByte ? seen : 1));
    }
    missing = 0;
    seen = 0;
    low = 0x80;
    high = 0xBF;
  }

  private void begin(int value, StringBuilder out) {
    if (value < 0x80) {
      out.append((char) value);
    } else if (value >= 0xC2 && value <= 0xDF) {
      expect(1, value & 0x1F);
    } else if (value >= 0xE0 && value <= 0xEF) {
      expect(2, value & 0x0F);
      low = value == 0xE0 ? 0xA0 : 0x80;
      high = value == 0xED ? 0x9F : 0xBF;
    } else if (value >= 0xF0 && value <= 0xF4) {
      expect(3, value & 0x07);
      low = value == 0xF0 ? 0x90 : 0x80;
      high = value == 0xF4 ? 0x8F : 0xBF;
    } else {
      out.append(REPLACEMENT);
    }
  }

  private void expect(int more, int bits) {
    missing = more;
    codePoint = bits;
    seen = 1;
  }
}
