package io.chorale.kernel;

import io.chorale.quant.PackedMatrix;
import java.util.Arrays;
import java.util.Random;

/** The operations in plain float64 arithmetic: what every {@link Ops} is measured against. */
final class Reference {
  private Reference() {}

  /** One row of {@link Ops#linear} without accumulation; factors and bias may be null. */
  static double[] linear(double[] x, double[][] w, LoraFactors lora, float[] bias) {
    double[] y = lora != null && lora.replacement() != null ? null : product(w, x);
    if (y == null) {
      y = product(doubles(lora.replacement()), x);
    } else if (lora != null) {
      addLora(y, x, w, lora);
    }
    for (int i = 0; bias != null && i < y.length; i++) {
      y[i] += bias[i];
    }
    return y;
  }

  private static void addLora(double[] y, double[] x, double[][] w, LoraFactors lora) {
    int rank = lora.rank();
    int in = x.length;
    double[] shrunk = new double[rank];
    for (int r = 0; r < rank; r++) {
      for (int i = 0; i < in; i++) {
        shrunk[r] += (double) lora.a()[r * in + i] * x[i];
      }
    }
    for (int o = 0; o < y.length; o++) {
      double update = lora.biasB() == null ? 0 : lora.biasB()[o];
      double norm = 0;
      for (int r = 0; r < rank; r++) {
        update += lora.b()[o * rank + r] * shrunk[r];
      }
      y[o] += lora.scaling() * update;
      if (lora.magnitude() != null) {
        for (int i = 0; i < in; i++) {
          double merged = w[o][i];
          for (int r = 0; r < rank; r++) {
            merged += (double) lora.scaling() * lora.b()[o * rank + r] * lora.a()[r * in + i];
          }
          norm += merged * merged;
        }
        y[o] *= lora.magnitude()[o] / Math.sqrt(norm);
      }
    }
  }

  /** Column {@code h} of one token's embedding; with DoRA its norm runs over the vocabulary. */
  static double adaptedEmbedding(double[][] table, int id, int h, LoraFactors lora) {
    double norm = 0;
    double wanted = 0;
    int vocab = table.length;
    for (int token = 0; token < vocab; token++) {
      double merged = table[token][h];
      for (int r = 0; r < lora.rank(); r++) {
        merged +=
            (double) lora.scaling() * lora.a()[r * vocab + token] * lora.b()[h * lora.rank() + r];
      }
      norm += merged * merged;
      wanted = token == id ? merged : wanted;
    }
    return lora.magnitude() == null ? wanted : wanted * lora.magnitude()[h] / Math.sqrt(norm);
  }

  static double[] product(double[][] w, double[] x) {
    double[] y = new double[w.length];
    for (int o = 0; o < w.length; o++) {
      for (int i = 0; i < x.length; i++) {
        y[o] += w[o][i] * x[i];
      }
    }
    return y;
  }

  static double[][] doubles(PackedMatrix packed) {
    float[] row = new float[packed.cols()];
    double[][] out = new double[packed.rows()][packed.cols()];
    for (int r = 0; r < packed.rows(); r++) {
      packed.dequantizeRows(r, r + 1, row);
      for (int c = 0; c < row.length; c++) {
        out[r][c] = row[c];
      }
    }
    return out;
  }

  /** Half-split rotation of one head in place. */
  static void rotate(double[] head, int position, float[] inverseFrequencies) {
    int half = head.length / 2;
    for (int i = 0; i < half; i++) {
      double angle = (float) (position * inverseFrequencies[i]);
      double a = head[i];
      double b = head[i + half];
      head[i] = a * Math.cos(angle) - b * Math.sin(angle);
      head[i + half] = b * Math.cos(angle) + a * Math.sin(angle);
    }
  }

  /**
   * To whole multiples, at most 127, of largest / 127 as a half (11 digits, exponents above -15).
   */
  static void roundToInt8(double[] vector) {
    double scale = int8Scale(vector);
    for (int i = 0; i < vector.length; i++) {
      vector[i] = Math.rint(vector[i] / scale) * scale;
    }
  }

  /** Whether a value is within 5e-5 steps of the middle between two of them. */
  static boolean nearTie(double[] vector) {
    double scale = int8Scale(vector);
    return Arrays.stream(vector)
        .map(x -> Math.abs(x / scale - Math.floor(x / scale) - 0.5))
        .anyMatch(distance -> distance < 5e-5);
  }

  private static double int8Scale(double[] vector) {
    double largest = Arrays.stream(vector).map(Math::abs).max().orElse(0);
    double unit = Math.scalb(1.0, Math.max(-14, Math.getExponent(largest / 127)) - 10);
    return Math.rint(largest / 127 / unit) * unit;
  }

  /** One query head over keys and values [positions][headDim]. */
  static double[] attend(double[] query, double[][] keys, double[][] values) {
    double[] scores = new double[keys.length];
    double max = Double.NEGATIVE_INFINITY;
    for (int p = 0; p < keys.length; p++) {
      for (int i = 0; i < query.length; i++) {
        scores[p] += query[i] * keys[p][i] / Math.sqrt(query.length);
      }
      max = Math.max(max, scores[p]);
    }
    double sum = 0;
    double[] out = new double[query.length];
    for (int p = 0; p < keys.length; p++) {
      double share = Math.exp(scores[p] - max);
      sum += share;
      for (int i = 0; i < out.length; i++) {
        out[i] += share * values[p][i];
      }
    }
    for (int i = 0; i < out.length; i++) {
      out[i] /= sum;
    }
    return out;
  }

  static float[] gaussian(Random random, int count, double std) {
    float[] out = new float[count];
    for (int i = 0; i < count; i++) {
      out[i] = (float) (random.nextGaussian() * std);
    }
    return out;
  }

  static double[] row(float[] matrix, int row, int cols) {
    double[] out = new double[cols];
    for (int i = 0; i < cols; i++) {
      out[i] = matrix[row * cols + i];
    }
    return out;
  }
}
