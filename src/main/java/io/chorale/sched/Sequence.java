package io.chorale.sched;

import io.chorale.sched.draft.Drafting;
import io.chorale.sched.draft.PromptLookup;
import java.util.Arrays;
import java.util.Objects;

/**
 * One generation: its tokens, how far its KV is computed and where it stands. The scheduler alone
 * changes it; others read it on the engine thread.
 */
public final class Sequence {
  private static final int NEVER_ADDED = -1;

  private final long id;
  private final int adapterKey;
  private final SamplingParams params;
  private final Drafting drafting;
  private final int promptTokens;
  private final BlockTable blocks = new BlockTable();
  private final ScheduledRows rows = new ScheduledRows(this);
  private final int[] stopIds; // ascending

  private int[] tokens;
  private int length;
  private int drafted;
  private int computedTokens;
  private int cachedTokens;
  private int preemptions;
  private boolean admitted;
  private SequenceState state = SequenceState.WAITING;
  private FinishReason finishReason;

  // Scheduler's notes
  long arrival = NEVER_ADDED;
  int skips;
  PromptLookup lookup; // null until something is to be guessed
  double draftChance; // that all guesses so far are right

  /** A sequence whose next tokens may be guessed where that pays. */
  public Sequence(long id, int[] promptIds, int adapterKey, SamplingParams params) {
    this(id, promptIds, adapterKey, params, Drafting.AUTO);
  }

  /**
   * @param promptIds at least one token; copied
   * @param adapterKey a registered version's key, or -1 for the base model
   */
  public Sequence(
      long id, int[] promptIds, int adapterKey, SamplingParams params, Drafting drafting) {
    if (promptIds.length == 0) {
      throw new IllegalArgumentException(
          "sequence %d has a prompt of 0 tokens, wanted at least 1".formatted(id));
    }
    if (adapterKey < LoraSlotTable.NO_LORA) {
      throw new IllegalArgumentException(
          "sequence %d has adapterKey %d, wanted -1 or more".formatted(id, adapterKey));
    }
    this.id = id;
    this.adapterKey = adapterKey;
    this.params = Objects.requireNonNull(params, "params");
    this.drafting = Objects.requireNonNull(drafting, "drafting");
    this.stopIds = params.stopTokenIds().stream().mapToInt(each -> each).sorted().toArray();
    this.promptTokens = promptIds.length;
    this.tokens = promptIds.clone();
    this.length = promptIds.length;
  }

  public long id() {
    return id;
  }

  public int adapterKey() {
    return adapterKey;
  }

  public SamplingParams params() {
    return params;
  }

  public SequenceState state() {
    return state;
  }

  public int promptTokens() {
    return promptTokens;
  }

  /** Prompt and generated tokens together. */
  public int length() {
    return length;
  }

  /** The token id at a position, 0 .. length-1. */
  public int token(int position) {
    Objects.checkIndex(position, length);
    return tokens[position];
  }

  /** A token of the running step: as {@link #token}, and its guesses at length and after. */
  public int stepToken(int position) {
    Objects.checkIndex(position, length + drafted);
    return tokens[position];
  }

  public int generatedTokens() {
    return length - promptTokens;
  }

  /** A copy of prompt and generated token ids. */
  public int[] tokens() {
    return Arrays.copyOf(tokens, length);
  }

  /** Prompt tokens taken from the prefix cache at the first admission. */
  public int cachedTokens() {
    return cachedTokens;
  }

  /** Leading positions whose KV is in place; 0 unless RUNNING. */
  public int computedTokens() {
    return computedTokens;
  }

  /** Why it ended; null until FINISHED. */
  public FinishReason finishReason() {
    return finishReason;
  }

  /** How often it was sent back to WAITING. */
  public int preemptions() {
    return preemptions;
  }

  Drafting drafting() {
    return drafting;
  }

  /** Guesses of the step that is being put together or runs. */
  int drafted() {
    return drafted;
  }

  boolean hasAdapter() {
    return adapterKey != LoraSlotTable.NO_LORA;
  }

  boolean added() {
    return arrival != NEVER_ADDED;
  }

  /** Rows to compute before the next token can be sampled; 1 while decoding. */
  int remaining() {
    return length - computedTokens;
  }

  BlockTable blocks() {
    return blocks;
  }

  /** The live array, valid up to {@link #length}. */
  int[] rawTokens() {
    return tokens;
  }

  /** Throws IllegalStateException unless the state is as wanted and blocks are held accordingly. */
  void requireState(SequenceState wanted) {
    if (state != wanted || (wanted == SequenceState.WAITING && blocks.count() > 0)) {
      throw new IllegalStateException(
          "sequence %d is %s with %d KV blocks in the list of %s"
              .formatted(id, state, blocks.count(), wanted));
    }
  }

  void run(int cached) {
    state = SequenceState.RUNNING;
    computedTokens = cached;
    skips = 0;
    if (!admitted) {
      admitted = true;
      cachedTokens = cached;
    }
  }

  void computed(int end) {
    computedTokens = end;
  }

  /** Puts a guess after the tokens and guesses there are. */
  void draft(int token) {
    grow(length + drafted + 1);
    tokens[length + drafted++] = token;
  }

  /** Takes the place of the first guess, if there is one. */
  private void append(int token) {
    grow(length + 1);
    tokens[length++] = token;
  }

  /**
   * Appends what a step sampled and forgets its guesses.
   *
   * @param sampled the first {@code cells} from {@code first} on, up to the first negative one;
   *     those after a token that ends the sequence become -1
   * @return why the sequence ends, or null if it goes on
   */
  FinishReason append(int[] sampled, int first, int cells, int maxSequenceTokens) {
    FinishReason reason = null;
    for (int i = first; i < first + cells && sampled[i] >= 0; i++) {
      if (reason == null) {
        append(sampled[i]);
        reason = ending(maxSequenceTokens);
      } else {
        sampled[i] = -1;
      }
    }
    drafted = 0;
    return reason;
  }

  private void grow(int wanted) {
    if (wanted > tokens.length) {
      // All that it may generate, unless that is much: most steps then make no garbage.
      long most = (long) promptTokens + params.maxTokens();
      tokens = Arrays.copyOf(tokens, (int) Math.max(wanted, Math.min(most, 2L * wanted + 1024)));
    }
  }

  /** Why the sequence ends after its last sampled token, or null if it goes on. */
  private FinishReason ending(int maxSequenceTokens) {
    if (isStop(tokens[length - 1])) {
      return FinishReason.STOP;
    }
    boolean full = generatedTokens() == params.maxTokens() || length == maxSequenceTokens;
    return full ? FinishReason.LENGTH : null;
  }

  /** The id ends the sequence. */
  boolean isStop(int token) {
    return Arrays.binarySearch(stopIds, token) >= 0;
  }

  ScheduledRows rows() {
    return rows;
  }

  void preempt() {
    state = SequenceState.WAITING;
    drafted = 0;
    computedTokens = 0;
    preemptions++;
  }

  void finish(FinishReason reason) {
    state = SequenceState.FINISHED;
    drafted = 0;
    lookup = null;
    computedTokens = 0;
    finishReason = reason;
  }
}
