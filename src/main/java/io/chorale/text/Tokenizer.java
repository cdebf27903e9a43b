package io.chorale.text;

import io.chorale.text.TokenizerJson.AddedToken;
import io.chorale.text.TokenizerJson.Spelling;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Text to token ids and back, exactly as Hugging Face's tokenizer of the same {@code
 * tokenizer.json} does. Adds nothing by itself: BOS, truncation and padding are the caller's.
 *
 * <p>Two spellings of the vocabulary are kept: one as the file has it, one whose control tokens are
 * spelled with characters drawn at random when it was loaded. Under the second no text of a user
 * can hold a control token, whatever it says.
 *
 * <p>Byte-level BPE and sentencepiece vocabularies. Any thread. Native memory is freed when
 * unreachable.
 */
public final class Tokenizer {
  private static final int SECRET_CHARS = 16; // of 6,400 private-use ones: 200 bits

  private final NativeTokenizer published;
  private final NativeTokenizer guarded;
  private final TokenMatcher matcher;
  private final TokenMatcher controls;
  private final Spelling spelling;
  private final boolean byteFallback;
  private final String[] tokens; // by id, null where an id has none
  private final Map<String, Integer> ids = new HashMap<>();
  private final Map<Integer, AddedToken> added = new HashMap<>();

  private Tokenizer(TokenizerJson json) {
    spelling = json.spelling();
    byteFallback = json.byteFallback();
    tokens = json.tokens();
    for (int id = 0; id < tokens.length; id++) {
      if (tokens[id] != null) {
        ids.put(tokens[id], id);
      }
    }
    json.added().forEach(token -> added.put(token.id(), token));
    Map<String, String> secrets = secrets(json.added());
    matcher = new TokenMatcher(json.added(), secrets);
    controls =
        new TokenMatcher(json.added().stream().filter(AddedToken::control).toList(), secrets);
    published = new NativeTokenizer(json.text());
    guarded = new NativeTokenizer(json.renamed(secrets));
  }

  /**
   * @throws UncheckedIOException if the file cannot be read
   * @throws IllegalArgumentException if it is not a tokenizer of a supported kind
   */
  public static Tokenizer fromJson(Path tokenizerJson) {
    try {
      return fromJson(Files.readString(tokenizerJson));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read tokenizer " + tokenizerJson.getFileName(), e);
    }
  }

  /**
   * @throws IllegalArgumentException if the text is not a tokenizer of a supported kind
   */
  public static Tokenizer fromJson(String json) {
    return new Tokenizer(TokenizerJson.parse(json));
  }

  /**
   * Rebuilds the tokenizer from a GGUF file's {@code tokenizer.ggml.*} keys; arrays may be Java
   * arrays or lists.
   *
   * @throws IllegalArgumentException naming the key, if one is missing or of an unsupported kind
   */
  public static Tokenizer fromGguf(Map<String, Object> ggufMetadata) {
    return new Tokenizer(TokenizerJson.of(new GgufVocabulary(ggufMetadata).tokenizerJson()));
  }

  /**
   * The text of a {@code tokenizer.json} for a GGUF file's {@code tokenizer.ggml.*} keys.
   *
   * @throws IllegalArgumentException as {@link #fromGguf}
   */
  public static String jsonOfGguf(Map<String, Object> ggufMetadata) {
    return new GgufVocabulary(ggufMetadata).tokenizerJson().toString();
  }

  /**
   * @param parseSpecial true: added tokens in the text are recognised, as in Hugging Face; false:
   *     the spelling of a control token is ordinary text and never becomes its id
   * @throws IllegalArgumentException naming the char index of a lone surrogate
   */
  public int[] encode(String text, boolean parseSpecial) {
    refuseLoneSurrogates("text", text);
    return (parseSpecial ? published : guarded).encode(text);
  }

  /** Text of the ids; an id without a token stands for nothing. */
  public String decode(int[] ids, boolean skipSpecial) {
    return published.decode(ids, skipSpecial);
  }

  /** The largest id plus 1. The model's output may be wider (padded). */
  public int vocabSize() {
    return tokens.length;
  }

  public OptionalInt tokenId(String token) {
    Integer id = ids.get(token);
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /** The token as the vocabulary spells it ({@code Ġthe}, {@code ▁the}, {@code <0x0A>}). */
  public Optional<String> token(int id) {
    return id >= 0 && id < tokens.length ? Optional.ofNullable(tokens[id]) : Optional.empty();
  }

  public boolean isSpecial(int id) {
    AddedToken token = added.get(id);
    return token != null && token.special();
  }

  /**
   * The UTF-8 bytes that the token stands for, which may be part of a character; none for an id
   * without a token. The space that a sentencepiece text begins with is kept.
   */
  public byte[] tokenBytes(int id) {
    String token = token(id).orElse("");
    if (spelling == Spelling.BYTE_LEVEL) {
      return ByteAlphabet.bytes(token);
    }
    if (isByteToken(id)) {
      return new byte[] {(byte) Integer.parseInt(token, 3, 5, 16)};
    }
    return token.replace('▁', ' ').getBytes(StandardCharsets.UTF_8);
  }

  Spelling spelling() {
    return spelling;
  }

  /** True for {@code <0xNN>} in a vocabulary that spells rare characters so. */
  boolean isByteToken(int id) {
    String token = byteFallback ? token(id).orElse("") : "";
    return token.length() == 6
        && token.startsWith("<0x")
        && token.endsWith(">")
        && Character.digit(token.charAt(3), 16) >= 0
        && Character.digit(token.charAt(4), 16) >= 0;
  }

  /** The control tokens, whose spelling must not come from a user's text. */
  TokenMatcher controls() {
    return controls;
  }

  /**
   * Rewrites the control tokens in a template's text so that {@code encode(text, false)} still
   * recognises these, and no others.
   */
  String guard(String templateText) {
    return matcher.replaceControls(templateText);
  }

  private static Map<String, String> secrets(List<AddedToken> added) {
    SecureRandom random = new SecureRandom();
    Map<String, String> secrets = new HashMap<>();
    for (AddedToken token : added) {
      if (token.control()) {
        StringBuilder secret = new StringBuilder();
        random
            .ints(SECRET_CHARS, 0xE000, 0xF900)
            .forEach(privateUse -> secret.append((char) privateUse));
        secrets.put(token.content(), secret.toString());
      }
    }
    return secrets;
  }

  /**
   * Half characters are legal in a Java string and in JSON escapes, but no UTF-8 exists for them.
   *
   * @param what names the text in the error
   * @throws IllegalArgumentException naming the char index of the first lone surrogate
   */
  static void refuseLoneSurrogates(String what, String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (!Character.isSurrogate(c)) {
        continue;
      }
      if (Character.isHighSurrogate(c)
          && i + 1 < text.length()
          && Character.isLowSurrogate(text.charAt(i + 1))) {
        i++;
      } else {
        throw new IllegalArgumentException(
            "%s has a lone surrogate U+%04X at char %d, wanted whole characters; was the text cut there?"
                .formatted(what, (int) c, i));
      }
    }
  }
}
