package io.chorale.train.model.math;

import io.chorale.tensor.TorchDevice;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.pytorch.Tensor;

/**
 * How the sequences of a slice go through attention: those of about one length together, each
 * lengthened to it, and their number rounded up too, so that products come in few shapes; oneDNN
 * compiles and keeps a kernel for each. A sequence's own rows come first and attention is causal,
 * so that what was added is seen by what was added only. Values of the host, no native memory.
 *
 * @param rows of the slice with padding; a multiple of {@link #ROWS}
 * @param starts first row of each sequence, then the number of rows of them all
 */
public record SequenceBundles(List<Plan> plans, int rows, int[] starts) {
  /** Rows of a product are a multiple of this. */
  public static final int ROWS = 64;

  /** Most rows, with padding, that go through attention at once, unless it is one sequence. */
  private static final int MOST = 1024;

  /** Rows of the sequences themselves, the first ones. */
  public int used() {
    return starts[starts.length - 1];
  }

  /**
   * Some sequences of one length.
   *
   * @param index row of the slice that each of {@code count * length} rows is, the slice's last row
   *     standing for all padding; null if they are the rows {@code start .. start+count*length-1}
   */
  public record Plan(int count, int length, int start, long[] index) {}

  /**
   * @param starts first row of each sequence, then the number of rows
   */
  public static SequenceBundles of(int[] starts) {
    int used = starts[starts.length - 1];
    Map<Integer, List<Integer>> byLength = new TreeMap<>();
    for (int s = 0; s + 1 < starts.length; s++) {
      byLength
          .computeIfAbsent(lengthened(starts[s + 1] - starts[s]), length -> new ArrayList<>())
          .add(s);
    }
    byLength.remove(0);
    List<Bundle> bundles = new ArrayList<>();
    boolean padded = false;
    for (Map.Entry<Integer, List<Integer>> entry : byLength.entrySet()) {
      int most = Math.max(1, MOST / entry.getKey());
      List<Integer> all = entry.getValue();
      for (int from = 0; from < all.size(); from += most) {
        List<Integer> some = all.subList(from, Math.min(all.size(), from + most));
        Bundle bundle = new Bundle(some, entry.getKey());
        bundles.add(bundle);
        padded |= !bundle.together(starts);
      }
    }
    int rows = roundUp(used + (padded ? 1 : 0), ROWS);
    List<Plan> plans = bundles.stream().map(bundle -> bundle.plan(starts, rows - 1)).toList();
    return new SequenceBundles(plans, rows, starts);
  }

  private record Bundle(List<Integer> sequences, int length) {
    /** Whether the rows lie in the slice as attention wants them. */
    boolean together(int[] starts) {
      int first = sequences.get(0);
      for (int i = 0; i < sequences.size(); i++) {
        int s = sequences.get(i);
        if (s != first + i || starts[s + 1] - starts[s] != length) {
          return false;
        }
      }
      return rounded(sequences.size()) == sequences.size();
    }

    Plan plan(int[] starts, int padding) {
      if (together(starts)) {
        return new Plan(sequences.size(), length, starts[sequences.get(0)], null);
      }
      int count = rounded(sequences.size());
      long[] index = new long[count * length];
      Arrays.fill(index, padding);
      for (int i = 0; i < sequences.size(); i++) {
        int s = sequences.get(i);
        for (int row = starts[s]; row < starts[s + 1]; row++) {
          index[i * length + row - starts[s]] = row;
        }
      }
      return new Plan(count, length, 0, index);
    }
  }

  private static int lengthened(int length) {
    return roundUp(length, length <= 64 ? 32 : 64);
  }

  /** 1, 2, 3, 4, 6, 8, 12, 16, 24, ... */
  private static int rounded(int count) {
    int power = Integer.highestOneBit(Math.max(1, count));
    return count <= power ? power : count <= power + power / 2 ? power + power / 2 : 2 * power;
  }

  /** The next multiple of a unit. */
  public static int roundUp(int value, int unit) {
    return (value + unit - 1) / unit * unit;
  }

  /**
   * Rows of a product over some rows, of which no more than so many come at once.
   *
   * @param most a whole band
   */
  public static int bandRows(int rows, int most) {
    return Math.min(roundUp(rows, ROWS), Math.max(rows, most));
  }

  /** Zeroes the rows from {@code used} on. */
  public static void zeroAfter(Tensor rows, long used) {
    if (used < rows.size(0)) {
      rows.narrow(0, used, rows.size(0) - used).zero_();
    }
  }

  /** On the device, in the caller's scope. */
  public Placed place(TorchDevice device) {
    return new Placed(
        plans.stream()
            .map(
                plan ->
                    new PlacedPlan(
                        plan.count(),
                        plan.length(),
                        plan.start(),
                        plan.index() == null ? null : device.longs(plan.index())))
            .toList(),
        rows,
        starts);
  }

  /** Bundles whose indices are on a device. */
  public record Placed(List<PlacedPlan> plans, int rows, int[] starts) {
    /** Rows of the sequences themselves, the first ones. */
    int used() {
      return starts[starts.length - 1];
    }
  }

  /** See {@link Plan}; the index is int64 [count * length]. */
  public record PlacedPlan(int count, int length, int start, Tensor index) {
    int rows() {
      return count * length;
    }
  }
}
