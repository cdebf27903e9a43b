/**
 * How long a step may take: prompts are read in pieces that leave streams their rhythm. Belongs to
 * the engine thread.
 *
 * <p>May import: nothing of Chorale.
 */
package io.chorale.sched.pace;
