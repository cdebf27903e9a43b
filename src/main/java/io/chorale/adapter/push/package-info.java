/**
 * Adapters that arrive over the network: files that grow part by part beside the adapter roots'
 * other folders, and the canary by which the server knows that it computes what the trainer did.
 * Any thread.
 *
 * <p>May import: adapter, format.
 */
package io.chorale.adapter.push;
