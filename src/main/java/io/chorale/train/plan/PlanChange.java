package io.chorale.train.plan;

import io.chorale.train.model.TrainMethod;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One change of flags and what it does.
 *
 * @param flags as they would be given
 * @param savedBytes of the peak, above 0
 * @param timeFactor of the run's time, 1 is none
 * @param sameResult whether the adapter stays the same but for rounding
 * @param then the plan with it
 */
public record PlanChange(
    String flags, long savedBytes, double timeFactor, boolean sameResult, TrainPlan then) {
  private static final int SMALL_CHUNK = 64;
  private static final long WORTH_BYTES = 1 << 20;

  static List<PlanChange> of(TrainPlan plan) {
    List<PlanChange> changes = new ArrayList<>();
    candidates(plan, true).forEach((flags, then) -> add(changes, plan, flags, then, true));
    candidates(plan, false).forEach((flags, then) -> add(changes, plan, flags, then, false));
    changes.sort(
        Comparator.comparingDouble((PlanChange c) -> Math.max(20, Math.round(20 * c.timeFactor)))
            .thenComparing(c -> -c.savedBytes));
    return changes;
  }

  private static void add(
      List<PlanChange> into, TrainPlan plan, String flags, TrainPlan then, boolean same) {
    long saved = plan.peakBytes() - then.peakBytes();
    if (saved >= WORTH_BYTES) {
      into.add(new PlanChange(flags, saved, then.seconds() / plan.seconds(), same, then));
    }
  }

  /**
   * @param sameResult those that keep the result, or those that do not
   */
  private static Map<String, TrainPlan> candidates(TrainPlan plan, boolean sameResult) {
    TrainShape s = plan.shape();
    Map<String, TrainPlan> all = new LinkedHashMap<>();
    if (sameResult) {
      if (s.lossChunk() > SMALL_CHUNK) {
        all.put("--loss-chunk " + SMALL_CHUNK, plan.with(s.withLossChunk(SMALL_CHUNK)));
      }
      for (int by = 2; by <= s.batchSize(); by *= 2) {
        TrainShape smaller = s.withBatch(s.batchSize() / by, s.gradAccum() * by);
        all.put(
            "--batch-size %d --grad-accum %d".formatted(smaller.batchSize(), smaller.gradAccum()),
            plan.with(smaller));
      }
      if (!s.paged()) {
        all.put("--paged", plan.with(s.withState(s.eightBit(), true)));
      }
      if (!s.checkpointing()) {
        all.put("--checkpointing", plan.with(s.withCheckpointing()));
      }
      return all;
    }
    if (!s.eightBit() && !s.paged()) {
      all.put("--optimizer adamw8bit", plan.with(s.withState(true, false)));
    }
    if (s.computeBytes() == 4) {
      all.put("--compute bf16", plan.with(s.withCompute(2)));
    }
    if (s.maxSeqLength() > 256) {
      all.put(
          "--max-seq-length " + s.maxSeqLength() / 2,
          plan.with(s.withLength(s.maxSeqLength() / 2)));
    }
    if (plan.base().linear().isFloat() && s.method() != TrainMethod.FULL) {
      all.put("a base file in 4 bits", plan.over(inFourBits(plan.base())));
    }
    return all;
  }

  private static BaseShape inFourBits(BaseShape b) {
    return new BaseShape(
        b.name(),
        b.layers(),
        b.hidden(),
        b.intermediate(),
        b.heads(),
        b.qWidth(),
        b.kvWidth(),
        b.vocab(),
        b.tiedHead(),
        b.qkNorm(),
        BaseForm.Q4_1,
        BaseForm.Q4_1,
        BaseForm.Q8_0);
  }

  /** Goes by the order of the candidates, not by time, so that a resumed run chooses the same. */
  static TrainPlan fitted(TrainPlan plan, long limitBytes) {
    TrainPlan now = plan;
    while (!now.fits(limitBytes)) {
      TrainPlan before = now;
      List<TrainPlan> leaner = new ArrayList<>(candidates(before, true).values());
      if (!before.shape().eightBit()) {
        leaner.add(before.with(before.shape().withState(true, before.shape().paged())));
      }
      leaner.removeIf(then -> before.peakBytes() - then.peakBytes() < WORTH_BYTES);
      if (leaner.isEmpty()) {
        return now;
      }
      now = leaner.stream().filter(then -> then.fits(limitBytes)).findFirst().orElse(leaner.get(0));
    }
    return now;
  }

  /** {@code --checkpointing saves 431 MiB, 1.3 times the time}. */
  public String text() {
    String time =
        Math.abs(timeFactor - 1) < 0.05
            ? "same time"
            : String.format(java.util.Locale.ROOT, "%.1f times the time", timeFactor);
    return "%-34s saves %s, %s%s"
        .formatted(
            flags, PlanText.bytes(savedBytes), time, sameResult ? "" : ", changes the result");
  }
}
