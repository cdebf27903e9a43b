/**
 * What a training run leaves on the disk: the PEFT folder, its card and facts, checkpoints. Every
 * folder appears under its name only when it is whole and on the disk. The trainer's thread.
 *
 * <p>May import: train.config, train.model, train.optim, lora, format, quant, tensor, jackson.
 */
package io.chorale.train.save;
