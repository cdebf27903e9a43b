package io.chorale.app;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * A file of bearer keys: one per line; blank lines and lines that start with {@code #} are skipped.
 * A key is printable ASCII without spaces, at least {@link #MIN_LENGTH} characters. Messages give
 * the line's number, never the key.
 */
final class KeyFile {
  /** Shorter keys can be guessed through the API. */
  static final int MIN_LENGTH = 8;

  private KeyFile() {}

  /**
   * @return the keys, in the file's order
   * @throws UsageException if the file cannot be read, holds no key, or a line is no key
   */
  static Set<String> read(Path file) {
    List<String> lines;
    try {
      lines = Files.readAllLines(file);
    } catch (IOException e) {
      throw new UsageException(
          "key file '%s' cannot be read (%s); wanted UTF-8 text with one key per line"
              .formatted(file, e));
    }
    Set<String> keys = new LinkedHashSet<>();
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i).strip();
      if (!line.isEmpty() && !line.startsWith("#")) {
        keys.add(checked(file, i + 1, line));
      }
    }
    if (keys.isEmpty()) {
      throw new UsageException(
          "key file '%s' holds no key; write one per line, or leave the option out"
              .formatted(file));
    }
    return keys;
  }

  private static String checked(Path file, int lineNumber, String key) {
    if (key.length() < MIN_LENGTH || !key.chars().allMatch(c -> c > ' ' && c < 0x7f)) {
      throw new UsageException(
          "key file '%s' line %d: %d characters, wanted at least %d of printable ASCII without spaces"
              .formatted(file, lineNumber, key.length(), MIN_LENGTH));
    }
    return key;
  }
}
