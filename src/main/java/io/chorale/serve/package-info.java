/**
 * What the HTTP layer shares: the served model, who may call what, OpenAI's error shape and its
 * mappers, request ids. Sub-packages: {@code openai} (inference), {@code admin} (adapters), {@code
 * ops} (health, metrics).
 *
 * <p>Threads: resources run on worker threads, streams on the request's Vert.x context; nothing
 * here runs on the engine thread except handing a token over. May import {@code adapter}, {@code
 * engine}, {@code text}, {@code sched}, Quarkus, Vert.x; never {@code tensor}, {@code kernel},
 * {@code lora}, {@code model} or {@code app}.
 */
package io.chorale.serve;
