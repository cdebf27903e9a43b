package io.chorale.sched.draft;

/**
 * Whether a sequence's next tokens are guessed and checked in one step; its tokens never change.
 */
public enum Drafting {
  /** Where the guesses of late were right often enough to pay for their rows. */
  AUTO,
  /** Wherever there is a guess and a row for it. */
  ALWAYS,
  NEVER
}
