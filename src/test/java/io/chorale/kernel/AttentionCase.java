package io.chorale.kernel;

import io.chorale.tensor.Scope;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/** Two sequences of 17 and 11 positions, fed in uneven chunks over scattered blocks of 4. */
final class AttentionCase {
  private static final int BLOCK = 4;
  private static final int[][] TABLES = {{9, 2, 5, 0, 7}, {4, 1, 8}};
  private static final int[] LENGTHS = {17, 11};

  /** [step][sequence] rows. */
  private static final int[][] CHUNKS = {{5, 0}, {1, 6}, {10, 1}, {1, 4}};

  private final AttentionShape shape;
  private final float[] frequencies;
  private final boolean int8Kv;
  private final float[][] q = new float[2][];
  private final float[][] k = new float[2][];
  private final float[][] v = new float[2][];

  /**
   * @param int8Kv expect what keys and values rounded by {@link Reference#roundToInt8} give
   */
  AttentionCase(AttentionShape shape, float[] frequencies, boolean int8Kv) {
    this.shape = shape;
    this.int8Kv = int8Kv;
    this.frequencies = frequencies;
    Random random = new Random(shape.hashCode());
    for (int s = 0; s < 2; s++) {
      q[s] = Reference.gaussian(random, LENGTHS[s] * shape.heads() * shape.headDim(), 2);
      k[s] = Reference.gaussian(random, LENGTHS[s] * shape.kvHeads() * shape.headDim(), 2);
      v[s] = Reference.gaussian(random, LENGTHS[s] * shape.kvHeads() * shape.headDim(), 1);
    }
  }

  /** Output rows of each step. */
  float[][] run(Ops ops) {
    float[][] out = new float[CHUNKS.length][];
    int qWidth = shape.heads() * shape.headDim();
    int kvWidth = shape.kvHeads() * shape.headDim();
    try (Scope scope = Scope.open()) {
      KvPages pages = ops.kvPages(2, 10 * BLOCK, shape);
      LoraTable table = ops.loraTable(1, new Weight[0], -1);
      for (int step = 0; step < CHUNKS.length; step++) {
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
  private static List<int[]> rows(int step) {
    List<int[]> rows = new ArrayList<>();
    for (int s = 1; s >= 0; s--) {
      int start = start(step, s);
      for (int i = 0; i < CHUNKS[step][s]; i++) {
        rows.add(new int[] {s, start + i});
      }
    }
    return rows;
  }

  private static int start(int step, int s) {
    return IntStream.range(0, step).map(earlier -> CHUNKS[earlier][s]).sum();
  }

  private static ForwardInputs inputs(int step) {
    int[] sequences = IntStream.of(1, 0).filter(s -> CHUNKS[step][s] > 0).toArray();
    int[] positions = rows(step).stream().mapToInt(row -> row[1]).toArray();
    int[] first = new int[sequences.length];
    int[] count = new int[sequences.length];
    int[][] tables = new int[sequences.length][];
    int row = 0;
    for (int i = 0; i < sequences.length; i++) {
      first[i] = row;
      count[i] = CHUNKS[step][sequences[i]];
      tables[i] = TABLES[sequences[i]];
      row += count[i];
    }
    int n = positions.length;
    int[] slots = IntStream.range(0, n).map(i -> LoraTable.NO_LORA).toArray();
    return new ForwardInputs(new int[n], positions, slots, first, count, tables, BLOCK, new int[0]);
  }

  private static Matrix gather(Ops ops, float[][] from, List<int[]> rows, int width) {
    float[] out = new float[rows.size() * width];
    for (int i = 0; i < rows.size(); i++) {
      System.arraycopy(from[rows.get(i)[0]], rows.get(i)[1] * width, out, i * width, width);
    }
    return TestMatrices.upload(ops, out, rows.size(), width);
  }
}
