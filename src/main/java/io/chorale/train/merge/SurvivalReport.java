package io.chorale.train.merge;

import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * How much of an update is left after rounding to 4 bits, per layer. With d the wanted change of
 * the weights and k the change that the rounded weights have: survival = &lt;k, d&gt; / &lt;d,
 * d&gt;, 1 if all is kept; noise = |k - survival d| / |d|, 0 if nothing else changed. Both are
 * taken over all adapted matrices of the layer. One thread.
 */
public final class SurvivalReport {
  /** Below this share the merged model mostly behaves like the base. */
  static final double LITTLE = 0.8;

  private static final String ADVICE =
      """
      Serve the adapter unmerged (exact, and many share one base); or merge --to hf-f16, gguf-f16 or
      gguf-q8_0; or into the base's own 4-bit format with --rounding dither; or train it for this
      merge: chorale train --merge-aware nf4, q4_0 or q4_1. Then evaluate the merged model.
      """;

  /** Sums over the elements of the matrices. */
  private static final class Sums {
    private double kd;
    private double dd;
    private double kk;
    private double ww;

    private void add(double kd, double dd, double kk, double ww) {
      this.kd += kd;
      this.dd += dd;
      this.kk += kk;
      this.ww += ww;
    }

    private double survival() {
      return kd / dd;
    }

    private double noise() {
      return Math.sqrt(Math.max(0, kk - kd * kd / dd) / dd);
    }

    private double size() {
      return Math.sqrt(dd / ww);
    }
  }

  private final Map<Integer, Sums> layers = new TreeMap<>();
  private final Sums all = new Sums();

  /**
   * Takes in a piece of one matrix.
   *
   * @param base what the 4-bit base has
   * @param wanted the exact merged values
   * @param kept the merged values after rounding
   */
  void add(int layer, int count, float[] base, float[] wanted, float[] kept) {
    double kd = 0;
    double dd = 0;
    double kk = 0;
    double ww = 0;
    for (int i = 0; i < count; i++) {
      double d = (double) wanted[i] - base[i];
      double k = (double) kept[i] - base[i];
      kd += k * d;
      dd += d * d;
      kk += k * k;
      ww += (double) base[i] * base[i];
    }
    layers.computeIfAbsent(layer, l -> new Sums()).add(kd, dd, kk, ww);
    all.add(kd, dd, kk, ww);
  }

  /** Whether no adapted matrix changed at all. */
  public boolean isEmpty() {
    return all.dd == 0;
  }

  /** Share of the update that is left, over all layers. */
  public double survival() {
    return all.survival();
  }

  /** Size of what came with it, relative to the update. */
  public double noise() {
    return all.noise();
  }

  /** Survival of one layer. */
  public double survival(int layer) {
    return layers.get(layer).survival();
  }

  /** A table with one line a layer, and a warning with advice if little survives. */
  public String text() {
    return table() + warning();
  }

  /** The table alone, for an adapter that was trained through this rounding. */
  public String table() {
    StringBuilder out = new StringBuilder();
    out.append(
        "how much of the update survives rounding to 4 bits (1 = all of it, noise 0 = clean)\n");
    out.append("  layer   update/weights   survival      noise\n");
    layers.forEach((layer, sums) -> line(out, Integer.toString(layer), sums));
    line(out, "all", all);
    return out.toString();
  }

  private String warning() {
    StringBuilder out = new StringBuilder();
    if (all.survival() < LITTLE) {
      out.append(
          String.format(
              Locale.ROOT,
              """
              WARNING: %.0f %% of the update survives. The steps between 4-bit values are larger than the
              update, so this model mostly behaves like the base.
              """,
              100 * all.survival()));
      out.append(ADVICE);
    } else if (all.noise() > 1) {
      out.append(
          String.format(
              Locale.ROOT,
              """
              note: rounding adds noise of %.1f times the size of the update. It cancels in sums over many
              weights, the less so the smaller the update is: evaluate the merged model. hf-f16, gguf-f16
              and gguf-q8_0 have next to none; chorale train --merge-aware trains through it.
              """,
              all.noise()));
    }
    return out.toString();
  }

  private static void line(StringBuilder out, String name, Sums sums) {
    if (sums.dd == 0) {
      out.append(String.format(Locale.ROOT, "  %5s   unchanged%n", name));
      return;
    }
    out.append(
        String.format(
            Locale.ROOT,
            "  %5s   %12.2f %%   %8.3f   %8.3f%n",
            name,
            100 * sums.size(),
            sums.survival(),
            sums.noise()));
  }
}
