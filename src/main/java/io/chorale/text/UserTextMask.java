package io.chorale.text;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Takes control tokens apart in users' strings while a template runs, and puts them back after. The
 * first character of each is exchanged for a marker: a Unicode noncharacter (or private-use
 * character) that no string of the call holds. One character for one, so that templates which
 * measure, slice, strip or search see what they expect; a piece of a sliced token comes back right.
 *
 * <p>A string that ends inside a control token is masked at that place too, so that two strings set
 * side by side do not make one, except where the token begins with a letter or digit: ordinary
 * words, roles among them, end with those.
 *
 * <p>One per call, one thread.
 */
final class UserTextMask {
  private final List<String> controls;
  private final TokenMatcher matcher;
  private final int longest;
  private final Map<Integer, Character> markers = new LinkedHashMap<>(); // by first code point

  /**
   * @param controls the control tokens, by their spelling
   * @param given all values of the call: strings, lists, maps (keys count too), others are left
   * @throws IllegalArgumentException if the strings use up every possible marker
   */
  UserTextMask(TokenMatcher controls, Object given) {
    matcher = controls;
    this.controls = controls.contents();
    longest = this.controls.stream().mapToInt(String::length).max().orElse(0);
    Set<Integer> firsts = new LinkedHashSet<>();
    this.controls.forEach(control -> firsts.add(control.codePointAt(0)));
    List<String> strings = new ArrayList<>();
    collect(given, strings);
    int candidate = 0xFDD0;
    for (int first : firsts) {
      while (occurs((char) candidate, strings)) {
        candidate = after(candidate);
      }
      markers.put(first, (char) candidate);
      candidate = after(candidate);
    }
  }

  /** A copy with every string masked; other values as they are. */
  Object mask(Object value) {
    if (value instanceof String text) {
      return masked(text);
    }
    if (value instanceof Map<?, ?> map) {
      Map<Object, Object> copy = new LinkedHashMap<>();
      map.forEach((key, item) -> copy.put(mask(key), mask(item)));
      return copy;
    }
    if (value instanceof Iterable<?> items) {
      List<Object> copy = new ArrayList<>();
      items.forEach(item -> copy.add(mask(item)));
      return copy;
    }
    return value;
  }

  /** Undoes the masking in rendered text, also where a filter wrote the marker as an escape. */
  String restore(String text) {
    String restored = text;
    for (Map.Entry<Integer, Character> marker : markers.entrySet()) {
      String first = Character.toString(marker.getKey());
      for (String spelled : spellings(marker.getValue())) {
        restored = restored.replace(spelled, first);
      }
    }
    return restored;
  }

  private String masked(String text) {
    StringBuilder out = new StringBuilder(text.length());
    int words = text.stripTrailing().length();
    for (int at = 0; at < text.length(); ) {
      int first = text.codePointAt(at);
      if (markers.containsKey(first) && beginsControl(text, at, first, words)) {
        out.append(markers.get(first).charValue());
      } else {
        out.appendCodePoint(first);
      }
      at += Character.charCount(first);
    }
    return out.toString();
  }

  private boolean beginsControl(String text, int at, int first, int words) {
    if (matcher.anyAt(text, at)) {
      return true;
    }
    return !Character.isLetterOrDigit(first)
        && (endsInside(text, at, text.length()) || endsInside(text, at, words));
  }

  /** Whether all text from a place up to an end is the beginning of a control token. */
  private boolean endsInside(String text, int from, int to) {
    if (from >= to || to - from >= longest) {
      return false;
    }
    String tail = text.substring(from, to);
    return controls.stream().anyMatch(control -> control.startsWith(tail));
  }

  private static void collect(Object value, List<String> strings) {
    if (value instanceof String text) {
      strings.add(text);
    } else if (value instanceof Map<?, ?> map) {
      map.forEach(
          (key, item) -> {
            collect(key, strings);
            collect(item, strings);
          });
    } else if (value instanceof Iterable<?> items) {
      items.forEach(item -> collect(item, strings));
    }
  }

  private static boolean occurs(char marker, List<String> strings) {
    for (String spelled : spellings(marker)) {
      for (String text : strings) {
        if (text.contains(spelled)) {
          return true;
        }
      }
    }
    return false;
  }

  private static List<String> spellings(char marker) {
    return List.of(
        String.valueOf(marker),
        "\\u%04x".formatted((int) marker),
        "\\u%04X".formatted((int) marker));
  }

  private static int after(int candidate) {
    if (candidate == 0xFDEF) {
      return 0xE000; // the 32 noncharacters are used up
    }
    if (candidate == 0xF8FF) {
      throw new IllegalArgumentException(
          "the messages use every private-use character, wanted one left to protect control tokens");
    }
    return candidate + 1;
  }
}
