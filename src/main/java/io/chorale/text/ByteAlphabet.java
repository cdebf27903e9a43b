package io.chorale.text;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The 256 printable characters that byte-level BPE writes bytes with: visible Latin-1 stands for
 * itself, the other 68 bytes are U+0100 and up in order (GPT-2's {@code bytes_to_unicode}).
 */
final class ByteAlphabet {
  private static final int[] BYTE_OF = new int[0x100 + 68];

  static {
    Arrays.fill(BYTE_OF, -1);
    int next = 0x100;
    for (int b = 0; b < 0x100; b++) {
      boolean visible = b >= '!' && b <= '~' || b >= 0xA1 && b != 0xAD;
      BYTE_OF[visible ? b : next++] = b;
    }
  }

  private ByteAlphabet() {}

  /** The bytes a token stands for; its own UTF-8 if a character of it is not of the alphabet. */
  static byte[] bytes(String token) {
    byte[] bytes = new byte[token.length()];
    for (int i = 0; i < bytes.length; i++) {
      char c = token.charAt(i);
      if (c >= BYTE_OF.length || BYTE_OF[c] < 0) {
        return token.getBytes(StandardCharsets.UTF_8);
      }
      bytes[i] = (byte) BYTE_OF[c];
    }
    return bytes;
  }
}
