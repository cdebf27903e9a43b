/**
 * Which modules of a base an adapter trains, with what rank and scaling, by PEFT's rules. Values
 * only; any thread.
 *
 * <p>May import: train.model's records, model, lora.
 */
package io.chorale.train.model.target;
