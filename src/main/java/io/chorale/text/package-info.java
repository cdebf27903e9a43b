/**
 * Text on one side, token ids on the other: the tokenizer (from {@code tokenizer.json} or GGUF
 * metadata), chat prompts in which only the template speaks in control tokens, incremental
 * detokenizing and stop strings. Knows nothing of requests, sequences or models.
 *
 * <p>Owner thread: {@code Tokenizer}, {@code ChatTemplate} and {@code ChatPrompt} are immutable and
 * serve any thread; {@code StreamingDetokenizer} and {@code StopStrings} belong to one request and
 * its one thread.
 *
 * <p>May import: the JDK, Jackson, {@code ai.djl.huggingface.tokenizers.jni}, {@code
 * io.chorale.text.jinja}. Never another package of Chorale.
 */
package io.chorale.text;
