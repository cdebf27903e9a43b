package io.chorale.sched;

/** Life of a sequence; preemption leads from RUNNING back to WAITING. */
public enum SequenceState {
  /** Holds no KV block: not yet admitted, or preempted. */
  WAITING,
  /** Holds KV blocks and, with an adapter, a loraSlot. */
  RUNNING,
  /** Ended with a {@link FinishReason}; holds nothing. */
  FINISHED
}
