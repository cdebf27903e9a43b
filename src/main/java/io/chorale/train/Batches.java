package io.chorale.train;

import io.chorale.train.data.SftExample;
import io.chorale.train.model.PackedBatch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;

/**
 * Which rows make up each optimizer step: every epoch has its own order, which follows from the
 * seed, and every row occurs once. A step is a window of {@code gradAccum} micro-batches; an
 * epoch's last window may be smaller. Rows are laid end to end and never padded; they do not see
 * each other ({@link PackedBatch}). One thread.
 */
public final class Batches {
  /** Rows among which packing chooses, so that neighbours differ from epoch to epoch. */
  private static final int PACKING_WINDOW = 1024;

  private final List<SftExample> examples;
  private final Shape shape;
  private int plannedEpoch = -1;
  private List<int[]> planned = List.of();

  /**
   * How rows are put together.
   *
   * @param batchSize rows of a micro-batch; with packing, {@code batchSize * maxSeqLength} tokens
   *     are its bound instead
   */
  public record Shape(int batchSize, int gradAccum, boolean packing, int maxSeqLength, long seed) {}

  /**
   * @throws IllegalArgumentException if there are no rows
   */
  public Batches(List<SftExample> examples, Shape shape) {
    if (examples.isEmpty()) {
      throw new IllegalArgumentException(
          "no row is left to train on; chorale data check says what is wrong with each");
    }
    this.examples = List.copyOf(examples);
    this.shape = shape;
  }

  /** Optimizer steps of an epoch, from 0. With packing epochs may differ by a step. */
  public int steps(int epoch) {
    int micro = plan(epoch).size();
    return (micro + shape.gradAccum() - 1) / shape.gradAccum();
  }

  /** Steps of so many epochs; a fraction of an epoch is rounded up to whole steps. */
  public int stepsOf(double epochs) {
    int whole = (int) epochs;
    long steps = 0;
    for (int epoch = 0; epoch < whole; epoch++) {
      steps += steps(epoch);
    }
    if (epochs > whole) {
      steps += (long) Math.ceil((epochs - whole) * steps(whole));
    }
    return Math.toIntExact(Math.max(1, steps));
  }

  /** The micro-batches of one step. */
  public List<PackedBatch> step(int epoch, int index) {
    List<int[]> all = plan(epoch);
    int from = index * shape.gradAccum();
    int to = Math.min(all.size(), from + shape.gradAccum());
    return all.subList(from, to).stream().map(rows -> pack(examples, rows)).toList();
  }

  private List<int[]> plan(int epoch) {
    if (epoch != plannedEpoch) {
      // 2^64 over the golden ratio parts the seeds of neighbouring epochs.
      Random random = new Random(shape.seed() + epoch * 0x9E3779B97F4A7C15L);
      int[] order = TrainRows.shuffled(examples.size(), random);
      planned = shape.packing() ? packed(order, random) : chunks(order, shape.batchSize());
      plannedEpoch = epoch;
    }
    return planned;
  }

  private static List<int[]> chunks(int[] order, int size) {
    List<int[]> chunks = new ArrayList<>();
    for (int from = 0; from < order.length; from += size) {
      chunks.add(Arrays.copyOfRange(order, from, Math.min(order.length, from + size)));
    }
    return chunks;
  }

  /** First fit, longest rows first, window by window; bins come in a shuffled order. */
  private List<int[]> packed(int[] order, Random random) {
    long capacity = (long) shape.batchSize() * shape.maxSeqLength();
    List<int[]> micro = new ArrayList<>();
    for (int[] window : chunks(order, PACKING_WINDOW)) {
      List<Integer> longestFirst = new ArrayList<>(Arrays.stream(window).boxed().toList());
      longestFirst.sort(Comparator.comparingInt((Integer row) -> -length(row)));
      List<List<Integer>> bins = new ArrayList<>();
      List<Long> room = new ArrayList<>();
      for (int row : longestFirst) {
        int bin = 0;
        while (bin < bins.size() && room.get(bin) < length(row)) {
          bin++;
        }
        if (bin == bins.size()) {
          bins.add(new ArrayList<>());
          room.add(capacity);
        }
        bins.get(bin).add(row);
        room.set(bin, room.get(bin) - length(row));
      }
      for (int bin : TrainRows.shuffled(bins.size(), random)) {
        micro.add(bins.get(bin).stream().mapToInt(Integer::intValue).toArray());
      }
    }
    return micro;
  }

  private int length(int row) {
    return examples.get(row).ids().length;
  }

  /** All rows in their own order, for evaluation: so many in a batch. */
  static List<PackedBatch> inOrder(List<SftExample> examples, int batchSize) {
    int[] order = new int[examples.size()];
    Arrays.setAll(order, i -> i);
    return chunks(order, batchSize).stream().map(rows -> pack(examples, rows)).toList();
  }

  /** Rows laid end to end; labels move to the row before, whose logits they are held against. */
  static PackedBatch pack(List<SftExample> examples, int[] rows) {
    int tokens = Arrays.stream(rows).map(row -> examples.get(row).ids().length).sum();
    int[] ids = new int[tokens];
    int[] targets = new int[tokens];
    int[] starts = new int[rows.length + 1];
    int at = 0;
    for (int i = 0; i < rows.length; i++) {
      SftExample example = examples.get(rows[i]);
      int length = example.ids().length;
      System.arraycopy(example.ids(), 0, ids, at, length);
      System.arraycopy(example.labels(), 1, targets, at, length - 1);
      targets[at + length - 1] = SftExample.IGNORE_INDEX;
      at += length;
      starts[i + 1] = at;
    }
    return new PackedBatch(ids, targets, starts, rows.clone());
  }
}
