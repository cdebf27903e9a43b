package io.chorale.sched;

import io.chorale.sched.draft.Acceptance;
import io.chorale.sched.draft.DraftOptions;
import io.chorale.sched.draft.Drafting;
import io.chorale.sched.draft.PromptLookup;
import io.chorale.sched.draft.StepCost;
import java.util.List;

/**
 * Adds guessed tokens to the decode rows of a step. A guess is computed like a token that is there,
 * its row's logits say what really comes, and {@link Scheduler#commit} keeps the tokens up to the
 * first wrong guess: one step may then yield several tokens.
 *
 * <p>Guesses take what decode rows, prompts and admissions leave: rows, and KV blocks that no
 * running sequence will want next. They are handed out one round after the other, each sequence's
 * first guess before anyone's second, while {@link StepCost} says that the next one pays.
 */
final class Drafts {
  private final SchedulerOptions options;
  private final DraftOptions drafting;
  private final PagedKv kv;
  private final Acceptance acceptance = new Acceptance();
  private final StepCost cost = new StepCost();

  Drafts(SchedulerOptions options, DraftOptions drafting, PagedKv kv) {
    this.options = options;
    this.drafting = drafting;
    this.kv = kv;
  }

  StepCost cost() {
    return cost;
  }

  /**
   * Lengthens decode rows.
   *
   * @param decodes rows of one sequence each
   * @param stepRows rows of the whole step
   * @param running sequences that hold blocks
   * @return rows added
   */
  int add(List<ScheduledRows> decodes, int stepRows, int running) {
    if (drafting.maxTokens() == 0) {
      return 0;
    }
    for (int i = 0; i < decodes.size(); i++) {
      begin(decodes.get(i).sequence());
    }
    int rows = stepRows;
    double tokens = decodes.size();
    boolean more = true;
    for (int round = 0; more && round < drafting.maxTokens(); round++) {
      more = false;
      for (int i = 0; i < decodes.size() && rows < options.maxBatchTokens(); i++) {
        Sequence sequence = decodes.get(i).sequence();
        double chance = sequence.drafted() == round ? chance(sequence, round) : 0;
        boolean always = sequence.drafting() == Drafting.ALWAYS;
        if (chance > 0 && (always || cost.pays(chance, rows, tokens)) && guess(sequence, running)) {
          sequence.draftChance = chance;
          tokens += chance;
          rows++;
          more = true;
        }
      }
    }
    lengthen(decodes);
    return rows - stepRows;
  }

  private void begin(Sequence sequence) {
    boolean guesses = sequence.drafting() != Drafting.NEVER && sequence.generatedTokens() > 0;
    if (guesses && sequence.lookup == null) {
      sequence.lookup =
          new PromptLookup(drafting, sequence.promptTokens(), new Acceptance(acceptance));
    }
    if (guesses) {
      sequence.lookup.extend(sequence.rawTokens(), sequence.length());
    }
    sequence.draftChance = guesses && sequence.lookup.hasGuess() ? 1 : 0;
  }

  /** That the next guess and all before it are right. */
  private static double chance(Sequence sequence, int round) {
    return sequence.draftChance == 0 ? 0 : sequence.draftChance * sequence.lookup.chance(round);
  }

  /** Takes one more guess unless it is the end, or has no room. */
  private boolean guess(Sequence sequence, int running) {
    int at = sequence.length() + sequence.drafted();
    // The step yields a token after the last guess, and that one must not be too many.
    boolean last =
        at + 1 >= options.maxSequenceTokens()
            || sequence.generatedTokens() + sequence.drafted() + 1 >= sequence.params().maxTokens();
    if (last || kv.rowsThatFit(sequence, running) < 2 + sequence.drafted()) {
      return false;
    }
    int token = sequence.lookup.guess(sequence.rawTokens(), at);
    if (sequence.isStop(token)) {
      return false; // nothing would come of the rows after it
    }
    sequence.draft(token);
    kv.cover(sequence, at + 1);
    return true;
  }

  private static void lengthen(List<ScheduledRows> decodes) {
    for (int i = 0; i < decodes.size(); i++) {
      ScheduledRows rows = decodes.get(i);
      if (rows.sequence().drafted() > 0) {
        rows.lengthen(rows.sequence().drafted());
      }
    }
  }
}
