package io.chorale.text;

import java.util.List;

/**
 * Cuts generated text at the first stop string, also where a stop spans several tokens. The stop
 * that is complete first wins (of two that end at the same character, the longer); it and all text
 * after it are dropped. The outcome depends on the text only, not on how it was cut into pushes.
 *
 * <p>Held back is exactly the longest end of the text that begins some stop. Cost: pushed chars
 * times stops (Knuth, Morris, Pratt 1977). One thread.
 */
public final class StopStrings {
  private final String[] stops;
  private final int[][] borders; // borders[s][n]: longest proper border of the first n+1 chars
  private final int[] matched; // per stop: how much of it the text seen so far ends with
  private final StringBuilder held = new StringBuilder();
  private boolean hit;

  /**
   * @param stops none is allowed: then all text passes at once
   * @throws IllegalArgumentException if a stop is empty or has half a character (lone surrogate)
   */
  public StopStrings(List<String> stops) {
    this.stops = stops.toArray(String[]::new);
    borders = new int[this.stops.length][];
    matched = new int[this.stops.length];
    for (int s = 0; s < borders.length; s++) {
      if (this.stops[s].isEmpty()) {
        throw new IllegalArgumentException("stop[" + s + "] is empty, wanted at least 1 character");
      }
      Tokenizer.refuseLoneSurrogates("stop[" + s + "]", this.stops[s]);
      borders[s] = borders(this.stops[s]);
    }
  }

  /** What may be sent now; "" once a stop was hit. */
  public String push(String text) {
    if (hit) {
      return "";
    }
    for (int i = 0; i < text.length(); i++) {
      char next = text.charAt(i);
      held.append(next);
      int ended = advance(next);
      if (ended > 0) {
        hit = true;
        return take(held.length() - ended);
      }
    }
    int hold = 0;
    for (int length : matched) {
      hold = Math.max(hold, length);
    }
    return take(held.length() - hold);
  }

  /** True once a stop was found; nothing more comes out then. */
  public boolean hit() {
    return hit;
  }

  /** The text still held back, when no more will come; "" after a hit. */
  public String flush() {
    return hit ? "" : take(held.length());
  }

  /** Length of the longest stop that ends with this character, 0 if none does. */
  private int advance(char next) {
    int ended = 0;
    for (int s = 0; s < stops.length; s++) {
      int length = matched[s];
      while (length > 0 && stops[s].charAt(length) != next) {
        length = borders[s][length - 1];
      }
      matched[s] = stops[s].charAt(length) == next ? length + 1 : 0;
      if (matched[s] == stops[s].length()) {
        ended = Math.max(ended, matched[s]);
        matched[s] = borders[s][matched[s] - 1];
      }
    }
    return ended;
  }

  private String take(int length) {
    String sent = held.substring(0, length);
    held.delete(0, length);
    return sent;
  }

  private static int[] borders(String stop) {
    int[] borders = new int[stop.length()];
    for (int i = 1, length = 0; i < borders.length; i++) {
      while (length > 0 && stop.charAt(i) != stop.charAt(length)) {
        length = borders[length - 1];
      }
      borders[i] = stop.charAt(i) == stop.charAt(length) ? ++length : 0;
    }
    return borders;
  }
}
