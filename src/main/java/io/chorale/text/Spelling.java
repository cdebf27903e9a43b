package io.chorale.text;

/** How a vocabulary writes text, read off its decoder. */
enum Spelling {
  /** Every character of a token is one byte ({@link ByteAlphabet}). */
  BYTE_LEVEL,
  /** {@code ▁} is a space, {@code <0xNN>} a byte. */
  SENTENCEPIECE,
  /** As before; encoding put a space in front, so decoding takes one away. */
  SENTENCEPIECE_PREFIXED
}
