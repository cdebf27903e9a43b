package io.chorale.sched;

/** Why a sequence ended; {@code serve} alone maps it to OpenAI's "stop" and "length". */
public enum FinishReason {
  /** An end token of the model, or a stop token id of the request. */
  STOP,
  /** {@code maxTokens} reached, or the model's context is full. */
  LENGTH,
  /** The client went away, or a stop string was found outside the engine. */
  ABORT,
  /** The step that held this sequence failed; the sink gets the message. */
  ERROR
}
