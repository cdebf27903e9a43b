/**
 * Our own Jinja: the part of jinja2's language that chat templates can use, with Python's values
 * and text. {@code Lexer} and {@code Parser} make a tree of {@code Node}, {@code Interpreter} and
 * {@code Evaluator} walk it once per render. {@code Template} is the door; the rest is private.
 *
 * <p>Thread: a parsed template is immutable and shared; everything else belongs to one render.
 * Templates come from strangers: nothing here reaches files, classes or the network, and {@code
 * Template.Budget} bounds time, size and depth.
 *
 * <p>May import: java only.
 */
package io.chorale.text.jinja;
