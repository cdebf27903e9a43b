/**
 * The batched generator. One platform thread ({@link io.chorale.engine.EngineLoop}) owns the model,
 * KV pages, loraSlots and scheduler, so there are no locks inside; commands come in through a
 * bounded inbox and run only between steps, tokens go out through {@link
 * io.chorale.engine.TokenSink}. Names, files, JSON, HTTP and text stay outside: an adapter is an
 * int key here.
 *
 * <p>May import: sched, model, lora, kernel.
 */
package io.chorale.engine;
