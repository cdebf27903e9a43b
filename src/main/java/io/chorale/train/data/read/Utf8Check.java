package io.chorale.train.data.read;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** Finds bytes that are no UTF-8. One thread. */
final class Utf8Check {
  private final CharsetDecoder decoder =
      StandardCharsets.UTF_8
          .newDecoder()
          .onMalformedInput(CodingErrorAction.REPORT)
          .onUnmappableCharacter(CodingErrorAction.REPORT);
  private CharBuffer chars = CharBuffer.allocate(4096);

  /**
   * @return index of the first bad byte, -1 if all are good
   */
  int firstBad(byte[] bytes, int length) {
    if (chars.capacity() < length) {
      chars = CharBuffer.allocate(Math.max(length, 2 * chars.capacity()));
    }
    chars.clear();
    decoder.reset();
    ByteBuffer in = ByteBuffer.wrap(bytes, 0, length);
    CoderResult result = decoder.decode(in, chars, true);
    return result.isError() ? in.position() : -1;
  }

  static Finding finding(Path file, long line, long offset, int bad) {
    return new Finding(
        file,
        line,
        Finding.Kind.BAD_UTF8,
        "",
        "byte 0x%02X at byte offset %d of the file is no UTF-8".formatted(bad & 0xFF, offset),
        "save the file as UTF-8 (iconv -f WINDOWS-1252 -t UTF-8 is the usual cure)");
  }

  static Finding bom(Path file) {
    return new Finding(
        file,
        1,
        Finding.Kind.BOM,
        "",
        "file begins with a byte order mark",
        "save as UTF-8 without BOM; it is skipped here");
  }

  static boolean isBom(byte[] bytes, int length) {
    return length >= 3
        && bytes[0] == (byte) 0xEF
        && bytes[1] == (byte) 0xBB
        && bytes[2] == (byte) 0xBF;
  }
}
