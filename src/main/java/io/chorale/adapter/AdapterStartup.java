package io.chorale.adapter;

import io.chorale.adapter.RestoreReport.Kind;
import io.chorale.adapter.RestoreReport.Outcome;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jboss.logging.Logger;

/** The start-up of a registry: remembered registrations first, then a scan of the root folders. */
final class AdapterStartup {
  private static final Logger LOG = Logger.getLogger(AdapterStartup.class);
  private static final int MAX_THREADS = 8;

  private final AdapterRegistry registry;
  private final AdapterManifest manifest;
  private final PathJail jail;
  private final Map<String, Outcome> outcomes = new TreeMap<>();

  AdapterStartup(AdapterRegistry registry, AdapterManifest manifest, PathJail jail) {
    this.registry = registry;
    this.manifest = manifest;
    this.jail = jail;
  }

  /** Several adapters at a time; returns when all are registered or refused. */
  RestoreReport run(List<Path> scanRoots) {
    manifest.together(() -> all(scanRoots));
    return new RestoreReport(new ArrayList<>(outcomes.values()));
  }

  private void all(List<Path> scanRoots) {
    Map<String, AdapterManifest.Entry> remembered = new HashMap<>(manifest.entries());
    Map<String, Supplier<Outcome>> steps = new TreeMap<>();
    remembered.forEach(
        (name, entry) -> {
          if (!entry.removed()) {
            steps.put(name, () -> restore(name, entry));
          }
        });
    for (Path root : scanRoots) {
      for (Path folder : adapterFolders(root)) {
        String name = folder.getFileName().toString();
        AdapterManifest.Entry entry = remembered.get(name);
        if (entry != null && entry.removed()) {
          note(new Outcome(name, Kind.STAYS_REMOVED, 0, ""));
        } else {
          steps.putIfAbsent(name, () -> find(name, folder));
        }
      }
    }
    int threads = Math.min(MAX_THREADS, Runtime.getRuntime().availableProcessors());
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      List<Future<?>> running = new ArrayList<>();
      steps.forEach((name, step) -> running.add(pool.submit(() -> note(attempt(name, step)))));
      for (Future<?> each : running) {
        each.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while adapters were registered", e);
    } catch (ExecutionException e) {
      throw new IllegalStateException(e.getCause());
    } finally {
      pool.shutdownNow();
    }
  }

  private Outcome restore(String name, AdapterManifest.Entry entry) {
    registry.requireName(name);
    return registry.alone(name, () -> reload(name, entry));
  }

  private Outcome reload(String name, AdapterManifest.Entry entry) {
    AdapterRef ref = new AdapterRef(name, entry.version());
    AdapterLoader.Loaded loaded = registry.load(ref, jail.resolve(Path.of(entry.path())));
    if (loaded.fileSha256().equals(entry.files())) {
      registry.publish(ref, loaded, key -> {});
      return new Outcome(name, Kind.RESTORED, ref.version(), "");
    }
    // name@version must keep meaning the same bytes.
    AdapterRef next = new AdapterRef(name, manifest.nextVersion(name));
    AdapterManifest.Entry now =
        new AdapterManifest.Entry(entry.path(), next.version(), false, loaded.fileSha256());
    registry.publish(next, loaded.relabelled(next), key -> manifest.put(name, now));
    return new Outcome(name, Kind.CHANGED, next.version(), "");
  }

  private Outcome find(String name, Path folder) {
    AdapterInfo info = registry.register(name, folder, RegisterOptions.CREATE);
    return new Outcome(name, Kind.FOUND, info.version(), "");
  }

  private Outcome attempt(String name, Supplier<Outcome> step) {
    try {
      return step.get();
    } catch (AdapterException | UncheckedIOException e) {
      return new Outcome(name, Kind.FAILED, 0, e.getMessage());
    }
  }

  private synchronized void note(Outcome outcome) {
    outcomes.put(outcome.name(), outcome);
    if (outcome.kind() == Kind.FAILED) {
      LOG.errorf("adapter failed at start-up name=%s reason=%s", outcome.name(), outcome.reason());
    } else {
      LOG.infof(
          "adapter start-up name=%s outcome=%s version=%d",
          outcome.name(), outcome.kind(), outcome.version());
    }
  }

  private static List<Path> adapterFolders(Path root) {
    if (!Files.isDirectory(root)) {
      return List.of();
    }
    try (Stream<Path> children = Files.list(root)) {
      return children
          .filter(child -> Files.isRegularFile(child.resolve("adapter_config.json")))
          .map(Path::toAbsolutePath)
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot list adapter root " + root + ": " + e.getMessage(), e);
    }
  }
}
