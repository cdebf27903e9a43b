/**
 * The roof: the command line, the settings, and the wiring that builds a server out of the other
 * packages. The only place that knows both Quarkus and the engine; others are given values, never
 * the configuration object.
 *
 * <p>Owner thread: the main thread at start and at shutdown; nothing here runs inside a step or on
 * an event loop.
 *
 * <p>May import: every package of Chorale. Nothing imports this one.
 */
package io.chorale.app;
