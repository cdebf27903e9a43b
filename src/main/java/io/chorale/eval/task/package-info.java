/**
 * Multiple-choice tasks in lm-evaluation-harness' YAML, by the rules of its version 0.4.13, over
 * local data: prompts, few-shot examples, likelihoods of the choices, acc, acc_norm and groups.
 *
 * <p>Owner thread: the caller's; reads files when a task is made. May import: eval, eval.run,
 * eval.report (its groups), text, text.jinja.
 */
package io.chorale.eval.task;
