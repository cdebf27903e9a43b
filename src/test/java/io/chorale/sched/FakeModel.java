package io.chorale.sched;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * A model whose next token is a pure function of (adapterKey, all tokens so far), with a KV memory
 * that remembers for each kvSlot which (adapterKey, token prefix) was computed into it. A row fails
 * the test unless every earlier position of its sequence holds exactly that sequence's prefix.
 */
final class FakeModel {
  private static final Prefix GARBAGE = new Prefix(0);

  /** A token prefix under one adapter, interned: same content, same object. */
  private static final class Prefix {
    final long hash;
    final Map<Integer, Prefix> next = new HashMap<>();

    Prefix(long hash) {
      this.hash = hash;
    }

    Prefix then(int token) {
      return next.computeIfAbsent(token, t -> new Prefix(mix(hash * 31 + t + 1)));
    }
  }

  private final int vocabulary;
  private final int blockTokens;
  private final Prefix[] kv;
  private final int[] slots;
  private final Map<Integer, Prefix> roots = new HashMap<>();

  FakeModel(SchedulerOptions options, int vocabulary) {
    this.vocabulary = vocabulary;
    this.blockTokens = options.blockTokens();
    this.kv = new Prefix[options.blocks() * blockTokens];
    this.slots = new int[options.maxLoras()];
    Arrays.fill(slots, -1);
  }

  /** Computes a batch and returns the token of each row that samples; -1 after a wrong draft. */
  int[] run(ScheduledBatch batch) {
    batch.seatings().forEach(seating -> slots[seating.loraSlot()] = seating.adapterKey());
    batch.rows().forEach(this::checkContext);
    int[] sampled = new int[batch.samplingRows()];
    int samples = 0;
    for (ScheduledRows rows : batch.rows()) {
      samples = run(rows, sampled, samples);
    }
    return sampled;
  }

  private int run(ScheduledRows rows, int[] sampled, int first) {
    Sequence sequence = rows.sequence();
    Prefix prefix = prefix(sequence, rows.start());
    int samples = first;
    for (int p = rows.start(); p < rows.start() + rows.count(); p++) {
      prefix = prefix.then(sequence.stepToken(p));
      kv[kvSlot(rows, p)] = prefix;
      if (rows.samples() && p >= sequence.length() - 1) {
        boolean reached = p < sequence.length() || sampled[samples - 1] == sequence.stepToken(p);
        sampled[samples++] = reached ? nextToken(prefix) : -1;
      }
    }
    return samples;
  }

  /** A step that throws half-way: its rows and its loraSlots hold anything afterwards. */
  void runAndBreak(ScheduledBatch batch) {
    batch.seatings().forEach(seating -> slots[seating.loraSlot()] = -1);
    for (ScheduledRows rows : batch.rows()) {
      for (int p = rows.start(); p < rows.start() + rows.count(); p++) {
        kv[kvSlot(rows, p)] = GARBAGE;
      }
    }
  }

  /** What the sequence's tokens become if it runs alone and undisturbed. */
  int[] alone(int[] prompt, int adapterKey, SamplingParams params, int maxSequenceTokens) {
    int[] tokens =
        Arrays.copyOf(prompt, Math.min(maxSequenceTokens, prompt.length + params.maxTokens()));
    Prefix prefix = root(adapterKey);
    for (int token : prompt) {
      prefix = prefix.then(token);
    }
    for (int length = prompt.length; length < tokens.length; length++) {
      tokens[length] = nextToken(prefix);
      prefix = prefix.then(tokens[length]);
      if (params.stopTokenIds().contains(tokens[length])) {
        return Arrays.copyOf(tokens, length + 1);
      }
    }
    return tokens;
  }

  private void checkContext(ScheduledRows rows) {
    Sequence sequence = rows.sequence();
    int adapter = rows.loraSlot() == -1 ? -1 : slots[rows.loraSlot()];
    if (adapter != sequence.adapterKey()) {
      throw new AssertionError(
          "sequence %d wants adapter %d, its loraSlot %d holds %d"
              .formatted(sequence.id(), sequence.adapterKey(), rows.loraSlot(), adapter));
    }
    Prefix prefix = root(sequence.adapterKey());
    for (int p = 0; p < rows.start(); p++) {
      prefix = prefix.then(sequence.token(p));
      if (kv[kvSlot(rows, p)] != prefix) {
        throw new AssertionError(
            "sequence %d: position %d in block %d holds another prefix's KV"
                .formatted(sequence.id(), p, rows.blockTable()[p / blockTokens]));
      }
    }
  }

  private Prefix prefix(Sequence sequence, int length) {
    Prefix prefix = root(sequence.adapterKey());
    for (int p = 0; p < length; p++) {
      prefix = prefix.then(sequence.token(p));
    }
    return prefix;
  }

  private int kvSlot(ScheduledRows rows, int position) {
    return rows.blockTable()[position / blockTokens] * blockTokens + position % blockTokens;
  }

  private Prefix root(int adapterKey) {
    return roots.computeIfAbsent(adapterKey, key -> new Prefix(mix(key)));
  }

  private int nextToken(Prefix prefix) {
    return (int) Math.floorMod(mix(prefix.hash), (long) vocabulary);
  }

  private static long mix(long x) { // splitmix64's finalizer
    x = (x + 0x9E3779B97F4A7C15L ^ x >>> 30) * 0xBF58476D1CE4E5B9L;
    x = (x ^ x >>> 27) * 0x94D049BB133111EBL;
    return x ^ x >>> 31;
  }
}
