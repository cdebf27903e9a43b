package io.chorale.adapter;

import java.time.Instant;
import java.util.List;

/**
 * What anyone may know of a registered adapter; no server path in it.
 *
 * @param adapterKey the engine's key, never reused in a process; -1 for a registration that is only
 *     remembered because its files could not be loaded at start-up
 * @param method lora, rslora or dora
 * @param rank the largest of its modules
 * @param targetModules short names ({@code q_proj}), in the model's order
 * @param bytes of its tensors on the host
 * @param leases requests that hold this version now
 * @param sha256 over the lines {@code <sha256> <file name>} of its files in name order, as {@code
 *     sha256sum * | sha256sum} prints it
 */
public record AdapterInfo(
    String name,
    int version,
    int adapterKey,
    String method,
    int rank,
    List<String> targetModules,
    long bytes,
    Instant loadedAt,
    int leases,
    String sha256) {
  public AdapterInfo {
    targetModules = List.copyOf(targetModules);
  }

  public AdapterRef ref() {
    return new AdapterRef(name, version);
  }
}
