package io.chorale.eval.perplexity;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A long text as windows of which every token is predicted once, as lm-evaluation-harness' {@code
 * get_rolling_token_windows} cuts it: the first window is predicted whole after a prefix token,
 * each later one predicts the next {@code stride} tokens with all the context that fits before
 * them.
 */
final class Windows {
  /**
   * One window.
   *
   * @param ids what the model reads and the last predicted token
   * @param predicted how many of the last ids are predicted
   */
  record Window(int[] ids, int predicted) {}

  private Windows() {}

  /**
   * @param prefix token before the text
   * @param size most tokens that the model reads, at least 1
   * @param stride 1 .. size; {@code size} is the harness' rolling perplexity
   */
  static List<Window> of(int[] tokens, int prefix, int size, int stride) {
    if (stride < 1 || stride > size) {
      throw new IllegalArgumentException(
          "stride is %d, wanted 1 .. %d, the window".formatted(stride, size));
    }
    int[] all = new int[tokens.length + 1];
    all[0] = prefix;
    System.arraycopy(tokens, 0, all, 1, tokens.length);
    List<Window> windows = new ArrayList<>();
    int done = Math.min(size, tokens.length);
    if (done > 0) {
      windows.add(new Window(Arrays.copyOf(all, done + 1), done));
    }
    while (done < tokens.length) {
      int predicted = Math.min(tokens.length - done, stride);
      done += predicted;
      windows.add(new Window(Arrays.copyOfRange(all, done - size, done + 1), predicted));
    }
    return windows;
  }
}
