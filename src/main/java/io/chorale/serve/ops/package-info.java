/**
 * What operators and gateways read: health and metrics, in our names and in those that the Gateway
 * API inference extension reads.
 *
 * <p>Resources run on worker threads or the event loop and never wait; meters are written on the
 * request's context. May import {@code serve}, {@code adapter}, {@code engine}, Micrometer.
 */
package io.chorale.serve.ops;
