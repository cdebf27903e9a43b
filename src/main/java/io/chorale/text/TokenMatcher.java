package io.chorale.text;

import io.chorale.text.TokenizerJson.AddedToken;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Set;
import java.util.TreeSet;

/**
 * Finds added tokens in a text the way the tokenizer library does: from the left, the longest
 * first. Immutable, any thread. Cost: chars times distinct lengths of the tokens that begin with
 * the char.
 */
final class TokenMatcher {
  private static final NavigableSet<Integer> NONE = Collections.emptyNavigableSet();

  private final Map<String, String> secrets;
  private final Set<String> contents = new HashSet<>();
  private final Set<String> singleWords = new HashSet<>();
  private final Map<Character, NavigableSet<Integer>> lengths = new HashMap<>();

  /**
   * @param added tokens to look for; an empty one is passed over
   * @param secrets control token to what {@link #replaceControls} writes for it
   */
  TokenMatcher(Collection<AddedToken> added, Map<String, String> secrets) {
    this.secrets = Map.copyOf(secrets);
    for (AddedToken token : added) {
      String content = token.content();
      if (!content.isEmpty()) {
        contents.add(content);
        if (token.singleWord()) {
          singleWords.add(content);
        }
        lengths
            .computeIfAbsent(content.charAt(0), c -> new TreeSet<>(Comparator.reverseOrder()))
            .add(content.length());
      }
    }
  }

  List<String> contents() {
    return List.copyOf(contents);
  }

  /** Whether some token stands at this place, longest or not. */
  boolean anyAt(String text, int at) {
    for (int length : lengths.getOrDefault(text.charAt(at), NONE)) {
      if (at + length <= text.length() && contents.contains(text.substring(at, at + length))) {
        return true;
      }
    }
    return false;
  }

  String replaceControls(String text) {
    StringBuilder out = new StringBuilder(text.length());
    int at = 0;
    while (at < text.length()) {
      String token = longestAt(text, at);
      if (token == null) {
        out.append(text.charAt(at++));
      } else {
        out.append(secrets.getOrDefault(token, token));
        at += token.length();
      }
    }
    return out.toString();
  }

  private String longestAt(String text, int at) {
    for (int length : lengths.getOrDefault(text.charAt(at), NONE)) {
      if (at + length <= text.length()) {
        String candidate = text.substring(at, at + length);
        if (contents.contains(candidate)) {
          boolean apart = !singleWords.contains(candidate) || standsAlone(text, at, at + length);
          return apart ? candidate : null;
        }
      }
    }
    return null;
  }

  private static boolean standsAlone(String text, int from, int to) {
    return (from == 0 || !isWord(text.codePointBefore(from)))
        && (to == text.length() || !isWord(text.codePointAt(to)));
  }

  private static boolean isWord(int codePoint) {
    return Character.isLetterOrDigit(codePoint) || codePoint == '_';
  }
}
