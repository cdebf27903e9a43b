/**
 * Adapter routes: vLLM's two, word for word, and our own {@code /admin/adapters}. They read disks,
 * so they run on worker threads. May import {@code serve}, {@code serve.ops}, {@code adapter}.
 */
package io.chorale.serve.admin;
