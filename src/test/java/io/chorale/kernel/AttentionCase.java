package io.chorale.kernel;

import io.chorale.tensor.Scope;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Two sequences, fed in uneven chunks over scattered blocks. */
final class AttentionCase {
  /**
   * @param tables blocks of each sequence
   * @param chunks [step][sequence] rows
   */
  record Layout(int blockTokens, int[][] tables, int[][] chunks) {
    /** 17 and 11 positions in blocks of 4. */
    static final Layout SMALL =
        new Layout(
            4,
            new int[][] {{9, 2, 5, 0, 7}, {4, 1, 8}},
            new int[][] {{5, 0}, {1, 6}, {10, 1}, {1, 4}});

    /** 150 and 37 positions in blocks of 16, as they are served. */
    static final Layout PAGES =
        new Layout(
            16,
            new int[][] {{9, 2, 5, 0, 7, 11, 3, 10, 6, 1}, {4, 12, 8}},
            new int[][] {{63, 0}, {1, 15}, {1, 1}, {62, 1}, {1, 18}, {21, 1}, {1, 1}});

    /** The same positions, each in a step of its own. */
    Layout oneByOne() {
      List<int[]> single = new ArrayList<>();
      for (int[] step : chunks) {
        for (int s = 0; s < 2; s++) {
          for (int i = 0; i < step[s]; i++) {
            single.add(s == 0 ? new int[] {1, 0} : new int[] {0, 1});
          }
        }
      }
      return new Layout(blockTokens, tables, single.toArray(int[][]::new));
    }

    private int length(int s) {
      return Stream.of(chunks).mapToInt(step -> step[s]).sum();
    }

    private int blocks() {
      return tables[0].length + tables[1].length + 2;
    }
  }

  private final Layout layout;
  private final AttentionShape shape;
  private final float[] frequencies;
  private final boolean int8Kv;
  private final float[][] q = new float[2][];
  private final float[][] k = new float[2][];
  private final float[][] v = new float[2][];

  /**
   * @param int8Kv expect what keys and values rounded by {@link Reference#roundToInt8} give
   */
  AttentionCase(AttentionShape shape, float[] frequencies, boolean int8Kv, Layout layout) {
    this.layout = layout;
    this.shape = shape;
    this.int8Kv = int8Kv;
    this.frequencies = frequencies;
    Random random = new Random(shape.hashCode());
    do {
      fill(random);
    } while (int8Kv && nearTie());
  }

  private void fill(Random random) {
    for (int s = 0; s < 2; s++) {
      int length = layout.length(s);
      q[s] = Reference.gaussian(random, length * shape.heads() * shape.headDim(), 2);
      k[s] = Reference.gaussian(random, length * shape.kvHeads() * shape.headDim(), 2);
      v[s] = Reference.gaussian(random, length * shape.kvHeads() * shape.headDim(), 1);
    }
  }

  /**
   * Whether a key or value lies so near the middle between two int8 steps that it may go either
   * way.
   */
  private boolean nearTie() {
    for (int s = 0; s < 2; s++) {
      for (int row = 0; row < layout.length(s) * shape.kvHeads(); row++) {
        double[] key = Reference.row(k[s], row, shape.headDim());
        Reference.rotate(key, row / shape.kvHeads(), frequencies);
        if (Reference.nearTie(key)
            || Reference.nearTie(Reference.row(v[s], row, shape.headDim()))) {
          return true;
        }
      }
    }
    return false;
  }

  /** Output rows of each step. */
  float[][] run(Ops ops) {
    float[][] out = new float[layout.chunks().length][];
    int qWidth = shape.heads() * shape.headDim();
    int kvWidth = shape.kvHeads() * shape.headDim();
    try (Scope scope = Scope.open()) {
      KvPages pages = ops.kvPages(2, layout.blocks() * layout.blockTokens(), shape);
      LoraTable table = ops.loraTable(1, new Weight[0], -1);
      for (int step = 0; step < layout.chunks().length; step++) {
        List<int[]> rows = rows(step);
        Matrix queries = gather(ops, q, rows, qWidth);
        Matrix mixed = ops.matrix(rows.size(), qWidth);
        try (StepRows stepRows = ops.begin(inputs(step), frequencies, table)) {
          ops.ropeAndStoreKv(
              queries,
              gather(ops, k, rows, kvWidth),
              gather(ops, v, rows, kvWidth),
              stepRows,
              pages,
              1);
          ops.pagedAttention(queries, stepRows, pages, 1, shape, mixed);
        }
        out[step] = new float[rows.size() * qWidth];
        ops.read(mixed, out[step]);
      }
      pages.close();
    }
    return out;
  }

  /** Output rows of a run by sequence and position. */
  float[][][] byPosition(float[][] out) {
    float[][][] rows = {new float[layout.length(0)][], new float[layout.length(1)][]};
    int width = shape.heads() * shape.headDim();
    for (int step = 0; step < out.length; step++) {
      List<int[]> here = rows(step);
      for (int i = 0; i < here.size(); i++) {
        rows[here.get(i)[0]][here.get(i)[1]] =
            Arrays.copyOfRange(out[step], i * width, (i + 1) * width);
      }
    }
    return rows;
  }

  double[][] expected(int step) {
    List<int[]> rows = rows(step);
    double[][] out = new double[rows.size()][];
    for (int i = 0; i < out.length; i++) {
      out[i] = expectedRow(rows.get(i)[0], rows.get(i)[1]);
    }
    return out;
  }

  private double[] expectedRow(int s, int position) {
    int d = shape.headDim();
    double[] out = new double[shape.heads() * d];
    int start = shape.window() == 0 ? 0 : Math.max(0, position - shape.window() + 1);
    for (int head = 0; head < shape.heads(); head++) {
      int kvHead = head / (shape.heads() / shape.kvHeads());
      double[] query = head(q[s], position, head, shape.heads());
      Reference.rotate(query, position, frequencies);
      double[][] keys = new double[position + 1 - start][];
      double[][] values = new double[keys.length][];
      for (int p = start; p <= position; p++) {
        keys[p - start] = head(k[s], p, kvHead, shape.kvHeads());
        Reference.rotate(keys[p - start], p, frequencies);
        values[p - start] = head(v[s], p, kvHead, shape.kvHeads());
        if (int8Kv) {
          Reference.roundToInt8(keys[p - start]);
          Reference.roundToInt8(values[p - start]);
        }
      }
      System.arraycopy(Reference.attend(query, keys, values), 0, out, head * d, d);
    }
    return out;
  }

  private double[] head(float[] all, int position, int head, int heads) {
    return Reference.row(all, position * heads + head, shape.headDim());
  }

  /** {sequence, position} of each row; the second sequence first, so order is not by id. */
  private List<int[]> rows(int step) {
    List<int[]> rows = new ArrayList<>();
    for (int s = 1; s >= 0; s--) {
      int start = start(step, s);
      for (int i = 0; i < layout.chunks()[step][s]; i++) {
        rows.add(new int[] {s, start + i});
      }
    }
    return rows;
  }

  private int start(int step, int s) {
    return IntStream.range(0, step).map(earlier -> layout.chunks()[earlier][s]).sum();
  }

  private ForwardInputs inputs(int step) {
    int[] sequences = IntStream.of(1, 0).filter(s -> layout.chunks()[step][s] > 0).toArray();
    int[] positions = rows(step).stream().mapToInt(row -> row[1]).toArray();
    int[] first = new int[sequences.length];
    int[] count = new int[sequences.length];
    int[][] tables = new int[sequences.length][];
    int row = 0;
    for (int i = 0; i < sequences.length; i++) {
      first[i] = row;
      count[i] = layout.chunks()[step][sequences[i]];
      tables[i] = layout.tables()[sequences[i]];
      row += count[i];
    }
    int n = positions.length;
    int[] slots = IntStream.range(0, n).map(i -> LoraTable.NO_LORA).toArray();
    return new ForwardInputs(
        new int[n], positions, slots, first, count, tables, layout.blockTokens(), new int[0]);
  }

  private static Matrix gather(Ops ops, float[][] from, List<int[]> rows, int width) {
    float[] out = new float[rows.size() * width];
    for (int i = 0; i < rows.size(); i++) {
      System.arraycopy(from[rows.get(i)[0]], rows.get(i)[1] * width, out, i * width, width);
    }
    return TestMatrices.upload(ops, out, rows.size(), width);
  }
}
