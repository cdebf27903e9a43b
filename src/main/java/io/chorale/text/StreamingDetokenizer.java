package io.chorale.text;

import io.chorale.text.TokenizerJson.Spelling;
import java.nio.charset.StandardCharsets;

/**
 * Token ids to text, one at a time, never half a character. Special tokens are dropped. All pushes
 * and the flush together are {@code tokenizer.decode(ids, true)}.
 *
 * <p>One difference is kept on purpose: where a sentencepiece vocabulary spells characters with
 * {@code <0xNN>} tokens and a run of them is not UTF-8 as a whole, {@code decode} replaces every
 * byte of the run, but the characters of it that were complete have already been sent here.
 *
 * <p>Cost: constant per byte of the token, no native call. One thread.
 */
public final class StreamingDetokenizer {
  private final Tokenizer tokenizer;
  private final boolean byteLevel;
  private final Utf8Assembler assembler;
  private boolean dropLeadingSpace;

  public StreamingDetokenizer(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
    byteLevel = tokenizer.spelling() == Spelling.BYTE_LEVEL;
    dropLeadingSpace = tokenizer.spelling() == Spelling.SENTENCEPIECE_PREFIXED;
    assembler = new Utf8Assembler(!byteLevel);
  }

  /** The text that is complete now, "" if the token ends inside a character or is special. */
  public String push(int id) {
    if (tokenizer.isSpecial(id)) {
      return "";
    }
    byte[] bytes = tokenizer.tokenBytes(id);
    if (bytes.length == 0) {
      return ""; // an id without a token, as in decode
    }
    StringBuilder out = new StringBuilder(bytes.length);
    if (byteLevel || tokenizer.isByteToken(id)) {
      for (byte next : bytes) {
        assembler.push(next, out);
      }
    } else {
      assembler.finish(out);
      out.append(new String(bytes, StandardCharsets.UTF_8));
    }
    return trimmed(out);
  }

  /** What is left when no more tokens come: U+FFFD for a character that was never completed. */
  public String flush() {
    StringBuilder out = new StringBuilder();
    assembler.finish(out);
    return trimmed(out);
  }

  private String trimmed(StringBuilder out) {
    if (dropLeadingSpace && out.length() > 0) {
      dropLeadingSpace = false;
      if (out.charAt(0) == ' ') {
        out.deleteCharAt(0);
      }
    }
    return out.toString();
  }
}
