/**
 * Clients that others wrote (openai-java, langchain4j), run unpatched against a server that is up.
 * Threads: the clients' own. May import the clients and JUnit, nothing of Chorale: only HTTP stands
 * between them.
 */
package io.chorale.clients;
