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
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jboss.logging.Logger;

/** The start-up of a registry: remembered registrations first, then a scan of the root folders. */
final class AdapterStartup {
  private static final Logger LOG = Logger.getLogger(AdapterStartup.class);

  private final AdapterRegistry registry;
  private final AdapterManifest manifest;
  private final PathJail jail;
  private final Map<String, Outcome> outcomes = new TreeMap<>();

  AdapterStartup(AdapterRegistry registry, AdapterManifest manifest, PathJail jail) {
    this.registry = registry;
    this.manifest = manifest;
    this.jail = jail;
  }

  RestoreReport run(List<Path> scanRoots) {
    Map<String, AdapterManifest.Entry> remembered = new HashMap<>(manifest.entries());
    remembered.forEach(
        (name, entry) -> {
          if (!entry.removed()) {
            note(attempt(name, () -> restore(name, entry)));
          }
        });
    for (Path root : scanRoots) {
      for (Path folder : adapterFolders(root)) {
        String name = folder.getFileName().toString();
        AdapterManifest.Entry entry = remembered.get(name);
        if (entry != null && entry.removed()) {
          note(new Outcome(name, Kind.STAYS_REMOVED, 0, ""));
        } else if (!outcomes.containsKey(name)) {
          note(attempt(name, () -> find(name, folder)));
        }
      }
    }
    return new RestoreReport(new ArrayList<>(outcomes.values()));
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

  private void note(Outcome outcome) {
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
