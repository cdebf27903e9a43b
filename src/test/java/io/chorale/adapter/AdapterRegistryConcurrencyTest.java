package io.chorale.adapter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One name replaced a hundred times under eight threads that lease it. */
class AdapterRegistryConcurrencyTest {
  private static final int REPLACEMENTS = 100;
  private static final int THREADS = 8;
  private static final ModuleId Q0 = new ModuleId(0, LoraTarget.Q_PROJ);
  private static final ModuleId V1 = new ModuleId(1, LoraTarget.V_PROJ);

  @TempDir private Path temp;

  /** Version v has v in both tensors, so that a mix of two versions shows. */
  private static Path versionFolder(Path root, int version) {
    String last = "base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight";
    return new AdapterFolder()
        .filled(AdapterFolder.Q0 + ".lora_A.weight", version, 2, 8)
        .filled(last, version, 4, 2)
        .write(root.resolve("v" + version));
  }

  private static float second(LoraModule module, boolean a) {
    return (a ? module.a() : module.b()).bytes().getFloat(4);
  }

  private static void check(AdapterRegistry registry, AdapterLease lease) {
    var weights = registry.weights(lease.adapterKey());
    assertEquals(lease.ref().toString(), weights.label());
    assertEquals(lease.ref().version(), second(weights.modules().get(Q0), true));
    assertEquals(lease.ref().version(), second(weights.modules().get(V1), false));
  }

  @Test
  void everyLeaseSeesOneWholeVersionAndEveryReplacedKeyIsRetiredOnce()
      throws IOException, InterruptedException {
    // Given
    Path root = Files.createDirectories(temp.resolve("root"));
    for (int version = 1; version <= REPLACEMENTS + 1; version++) {
      versionFolder(root, version);
    }
    ConcurrentMap<Integer, AtomicInteger> retired = new ConcurrentHashMap<>();
    var registry =
        new AdapterRegistry(
            AdapterFolder.loader(),
            "base",
            List.of(root),
            temp.resolve("state"),
            key -> retired.computeIfAbsent(key, k -> new AtomicInteger()).incrementAndGet());
    Set<Integer> published = new TreeSet<>();
    published.add(registry.register("hot", Path.of("v1"), RegisterOptions.CREATE).adapterKey());
    var running = new AtomicBoolean(true);
    var failure = new AtomicReference<Throwable>();
    var leases = new AtomicInteger();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < THREADS; i++) {
      threads.add(new Thread(() -> leaseAndReturn(registry, running, failure, leases)));
    }
    threads.forEach(Thread::start);
    // When
    for (int version = 2; version <= REPLACEMENTS + 1; version++) {
      Path folder = Path.of("v" + version);
      published.add(registry.register("hot", folder, RegisterOptions.REPLACE).adapterKey());
    }
    running.set(false);
    for (Thread thread : threads) {
      thread.join();
    }
    // Then
    assertNull(failure.get(), () -> failure.get() + " after " + leases + " leases");
    int last = registry.find("hot").orElseThrow().adapterKey();
    published.remove(last);
    assertEquals(published, new TreeSet<>(retired.keySet()));
    retired.forEach((key, times) -> assertEquals(1, times.get(), "retired " + key));
    assertEquals(1, registry.hostVersions());
    assertEquals(0, registry.find("hot").orElseThrow().leases());
  }

  private static void leaseAndReturn(
      AdapterRegistry registry,
      AtomicBoolean running,
      AtomicReference<Throwable> failure,
      AtomicInteger leases) {
    int seen = 0;
    try {
      while (running.get()) {
        try (AdapterLease lease = registry.lease("hot")) {
          if (lease.ref().version() < seen) {
            throw new AssertionError("version " + lease.ref().version() + " after " + seen);
          }
          seen = lease.ref().version();
          check(registry, lease);
          Thread.onSpinWait();
          check(registry, lease);
          leases.incrementAndGet();
        }
      }
    } catch (Throwable e) {
      failure.compareAndSet(null, e);
    }
  }
}
