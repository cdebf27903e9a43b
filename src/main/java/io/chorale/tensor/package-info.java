/**
 * JavaCPP discipline: scopes that free libtorch's memory, grad mode per thread, devices, and the
 * limits that must be set before the first tensor. Any thread, but a {@link
 * io.chorale.tensor.Scope} and a {@link io.chorale.tensor.GradMode} close on the thread that opened
 * them.
 *
 * <p>May import: java, org.bytedeco.
 */
package io.chorale.tensor;
