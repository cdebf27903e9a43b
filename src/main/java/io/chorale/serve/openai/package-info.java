/**
 * OpenAI's inference routes. The path of a request: resource, {@link
 * io.chorale.serve.openai.ChatRequests} (fields, lease, template, tokens), {@code Engine.submit},
 * {@link io.chorale.serve.openai.ChatStream} (tokens to text), {@link
 * io.chorale.serve.openai.SseSink} or one JSON body.
 *
 * <p>Threads: up to {@code submit} a worker thread; afterwards the request's Vert.x context alone.
 * The engine thread only appends to a queue. May import {@code serve}, {@code serve.ops}, {@code
 * adapter}, {@code engine}, {@code sched}, {@code text}.
 */
package io.chorale.serve.openai;
