package io.chorale.train.data.check;

import io.chorale.train.data.ParsedRow;
import io.chorale.train.data.read.Finding;
import io.chorale.train.data.read.Finding.Kind;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What can be wrong with a text, whatever it means. Any thread. */
final class TextCheck {
  /** Spelled by common templates; looked for when no tokenizer says which are its own. */
  static final List<String> USUAL_CONTROLS =
      List.of(
          "<|im_start|>",
          "<|im_end|>",
          "<|endoftext|>",
          "<|begin_of_text|>",
          "<|eot_id|>",
          "<|start_header_id|>",
          "<|end_header_id|>",
          "<start_of_turn>",
          "<end_of_turn>",
          "[INST]",
          "[/INST]",
          "<s>",
          "</s>",
          "<|user|>",
          "<|assistant|>",
          "<|system|>");

  private final CheckOptions options;
  private final List<String> controls;

  TextCheck(CheckOptions options, List<String> controls) {
    this.options = options;
    this.controls = List.copyOf(controls);
  }

  List<Finding> check(Path file, long line, ParsedRow.Text place) {
    List<Finding> found = new ArrayList<>();
    String text = place.text();
    String field = place.field();
    if (place.trained()) {
      length(file, line, field, text, found);
    }
    if (isBlank(text.charAt(0)) || isBlank(text.charAt(text.length() - 1))) {
      found.add(
          new Finding(
              file,
              line,
              Kind.WHITESPACE,
              field,
              "begins or ends with whitespace",
              "remove it, else the model learns to write it"));
    }
    characters(file, line, field, text, found);
    for (String control : controls) {
      int at = text.indexOf(control);
      if (at >= 0) {
        found.add(
            new Finding(
                file,
                line,
                Kind.SPECIAL_TOKEN,
                field,
                "has '%s' at character %d".formatted(control, at),
                "remove it if a template left it there; it is trained on as plain text"));
        break;
      }
    }
    return found;
  }

  private void length(Path file, long line, String field, String text, List<Finding> found) {
    int chars = text.strip().codePointCount(0, text.strip().length());
    if (chars < options.minChars()) {
      found.add(
          new Finding(
              file,
              line,
              Kind.TOO_SHORT,
              field,
              "has %d characters, wanted at least %d".formatted(chars, options.minChars()),
              "answer in full, or lower --min-chars if short answers are meant"));
    } else if (chars > options.maxChars()) {
      found.add(
          new Finding(
              file,
              line,
              Kind.TOO_LONG,
              field,
              "has %d characters, wanted at most %d".formatted(chars, options.maxChars()),
              "split it, or raise --max-chars if long answers are meant"));
    }
  }

  private static void characters(
      Path file, long line, String field, String text, List<Finding> found) {
    boolean control = false;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (!control && isControl(c)) {
        control = true;
        found.add(
            new Finding(
                file,
                line,
                Kind.CONTROL_CHARACTER,
                field,
                "has U+%04X at character %d".formatted((int) c, i),
                "remove it"));
      } else if (Character.isSurrogate(c)) {
        if (Character.isHighSurrogate(c)
            && i + 1 < text.length()
            && Character.isLowSurrogate(text.charAt(i + 1))) {
          i++;
          continue;
        }
        found.add(
            new Finding(
                file,
                line,
                Kind.LONE_SURROGATE,
                field,
                "has half a character, U+%04X, at character %d".formatted((int) c, i),
                "write the whole character; was the text cut there?"));
        return;
      }
    }
  }

  /** C0 and C1 controls but tab and line ends, and U+FFFE and U+FFFF. */
  static boolean isControl(char c) {
    boolean layout = c == '\t' || c == '\n' || c == '\r';
    return c < 0x20 && !layout || c >= 0x7F && c <= 0x9F || c >= 0xFFFE;
  }

  private static boolean isBlank(char c) {
    return Character.isWhitespace(c) || c == '\u00A0';
  }

  /** The text as the cleaned file has it. */
  static String cleaned(String text) {
    StringBuilder kept = new StringBuilder(text.length());
    text.chars().filter(c -> !isControl((char) c)).forEach(c -> kept.append((char) c));
    int from = 0;
    int to = kept.length();
    while (from < to && isBlank(kept.charAt(from))) {
      from++;
    }
    while (to > from && isBlank(kept.charAt(to - 1))) {
      to--;
    }
    return kept.substring(from, to);
  }
}
