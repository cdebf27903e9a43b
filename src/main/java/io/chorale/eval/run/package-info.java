/**
 * The engine as an evaluation uses it: one base, any number of adapters in one batch, texts to
 * generate and likelihoods to score, without names, disks or HTTP.
 *
 * <p>Owner thread: the caller's waits; the engine's own thread computes and only hands tokens over.
 *
 * <p>May import: eval, engine, sched, model, kernel, adapter, lora, text.
 */
package io.chorale.eval.run;
