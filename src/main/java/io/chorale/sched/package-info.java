/**
 * What runs next: sequences, continuous batching with chunked prefill, paged KV blocks, the prefix
 * cache and the seating of adapters in loraSlots. Ids and counts only; no tensor, text or clock.
 *
 * <p>Owner: the engine thread; nothing here takes a lock. May import: {@code java} alone.
 */
package io.chorale.sched;
