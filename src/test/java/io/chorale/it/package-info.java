/**
 * The whole thing as a user starts it: the packaged server as a process of its own, spoken to over
 * HTTP. Each class starts its server once.
 */
package io.chorale.it;
