package io.chorale.adapter;

import static io.chorale.adapter.AdapterException.Code.ALREADY_LOADED;
import static io.chorale.adapter.AdapterException.Code.INVALID_NAME;
import static io.chorale.adapter.AdapterException.Code.NOT_FOUND;
import static io.chorale.adapter.AdapterException.Code.VERSION_MISMATCH;

import io.chorale.lora.LoraSource;
import io.chorale.lora.LoraWeights;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.jboss.logging.Logger;

/**
 * Adapter names and their current versions.
 *
 * <p>A version is immutable and has an adapterKey that is never used again in this process. {@link
 * #register} reads and validates every file before anything is visible, remembers the registration
 * durably, then publishes it in one step: a lease taken before is on the old version, one taken
 * after on the new. A version that is no longer current is retired when its last lease returns: its
 * weights are freed and {@code retired} is told its key, exactly once.
 *
 * <p>{@code register} and {@code remove} read and write the disk (worker thread); one name's calls
 * go one at a time. Everything else never blocks; any thread.
 */
public final class AdapterRegistry implements LoraSource {
  private static final Logger LOG = Logger.getLogger(AdapterRegistry.class);
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9._-]{1,128}");
  private static final Duration NAME_WAIT = Duration.ofSeconds(30);

  private final AdapterLoader loader;
  private final String baseId;
  private final PathJail jail;
  private final AdapterManifest manifest;
  private final IntConsumer retired;
  private final NameLocks names;
  private final WeightSpool spool;

  private final ConcurrentMap<String, AdapterVersion> current = new ConcurrentHashMap<>();
  private final ConcurrentMap<Integer, WeightSpool.Stored> weightsByKey = new ConcurrentHashMap<>();
  private final AtomicInteger lastKey = new AtomicInteger();

  /**
   * @param baseId the served base model's id, which no adapter may take
   * @param roots folders that adapters may be loaded from
   * @param stateDir where registrations are remembered; created if missing
   * @param retired told the key of each version whose last lease has returned; called on the thread
   *     that lets go last, must not block (the engine's {@code retire})
   * @throws IllegalStateException if the remembered registrations are damaged
   */
  public AdapterRegistry(
      AdapterLoader loader, String baseId, List<Path> roots, Path stateDir, IntConsumer retired) {
    this(
        loader,
        baseId,
        new PathJail(roots),
        AdapterManifest.open(stateDir, FileOps.DISK),
        retired,
        NAME_WAIT);
  }

  AdapterRegistry(
      AdapterLoader loader,
      String baseId,
      PathJail jail,
      AdapterManifest manifest,
      IntConsumer retired,
      Duration nameWait) {
    this.loader = loader;
    this.baseId = baseId;
    this.jail = jail;
    this.manifest = manifest;
    this.retired = retired;
    this.names = new NameLocks(nameWait);
    this.spool = new WeightSpool(manifest.folder());
  }

  /**
   * Loads an adapter and publishes it as the name's new version.
   *
   * @param dir a PEFT folder, a folder with one GGUF adapter, or a GGUF adapter file; absolute or
   *     relative to an adapter root
   * @throws AdapterException with every code but NOT_FOUND; then nothing has changed
   * @throws java.io.UncheckedIOException if the registration cannot be remembered; nothing changed
   */
  public AdapterInfo register(String name, Path dir, RegisterOptions options) {
    return register(name, dir, options, candidate -> {});
  }

  /** Tries a version that no name means yet; throws to keep it from being published. */
  @FunctionalInterface
  public interface Trial {
    void run(Candidate candidate);
  }

  /**
   * A version that is loaded and checked, but not published.
   *
   * @param adapterKey for requests to the engine, which must have ended when the trial returns
   * @param sha256 of its files, as in {@link AdapterInfo}
   */
  public record Candidate(int adapterKey, String sha256) {}

  /**
   * As {@link #register(String, Path, RegisterOptions)}, but publishes only what passes a trial.
   *
   * @throws RuntimeException the trial's own; then nothing has changed
   */
  public AdapterInfo register(String name, Path dir, RegisterOptions options, Trial trial) {
    requireName(name);
    Path real = jail.resolve(dir);
    return names.alone(name, () -> loadAndPublish(name, real, options, trial));
  }

  private AdapterInfo loadAndPublish(String name, Path real, RegisterOptions options, Trial trial) {
    requireExpected(name, options);
    AdapterRef ref = new AdapterRef(name, manifest.nextVersion(name));
    AdapterLoader.Loaded loaded = load(ref, real);
    AdapterManifest.Entry entry =
        new AdapterManifest.Entry(jail.remember(real), ref.version(), false, loaded.fileSha256());
    return publish(
        ref,
        loaded,
        key -> {
          trial.run(new Candidate(key, loaded.sha256()));
          manifest.put(name, entry);
        });
  }

  /**
   * Takes the name away; running requests keep the version they lease. It stays away after a
   * restart, even if its files lie in an adapter root.
   *
   * @return what was removed
   * @throws AdapterException NOT_FOUND, BUSY
   */
  public AdapterInfo remove(String name) {
    return names.alone(name, () -> forget(name));
  }

  private AdapterInfo forget(String name) {
    AdapterVersion version = current.get(name);
    AdapterManifest.Entry entry = manifest.entry(name);
    if (version == null && (entry == null || entry.removed())) {
      throw notFound(name);
    }
    int last = entry == null ? version.infoAtLoad().version() : entry.version();
    manifest.put(name, new AdapterManifest.Entry("", last, true, Map.of()));
    if (version == null) { // remembered, but its files could not be loaded at start-up
      return new AdapterInfo(name, last, -1, "", 0, List.of(), 0, Instant.EPOCH, 0, "");
    }
    AdapterInfo info = version.infoNow();
    current.remove(name);
    version.release();
    LOG.infof("adapter removed name=%s version=%d", name, info.version());
    return info;
  }

  /** The current versions, by name. */
  public List<AdapterInfo> list() {
    return current.values().stream()
        .map(AdapterVersion::infoNow)
        .sorted(Comparator.comparing(AdapterInfo::name))
        .toList();
  }

  public Optional<AdapterInfo> find(String name) {
    return Optional.ofNullable(current.get(name)).map(AdapterVersion::infoNow);
  }

  /**
   * Holds the name's current version until the lease is closed.
   *
   * @throws AdapterException NOT_FOUND
   */
  public AdapterLease lease(String name) {
    while (true) {
      AdapterVersion version = current.get(name);
      if (version == null) {
        throw notFound(name);
      }
      if (version.tryHold()) { // else it was replaced just now: take the new one
        AdapterInfo info = version.infoAtLoad();
        return new AdapterLease(info.ref(), info.adapterKey(), version::release);
      }
    }
  }

  /** Read back from the disk; the caller alone keeps them. */
  @Override
  public LoraWeights weights(int adapterKey) {
    WeightSpool.Stored weights = weightsByKey.get(adapterKey);
    if (weights == null) {
      throw new IllegalStateException(
          "adapterKey " + adapterKey + " has no weights: its last lease was returned already");
    }
    return weights.read();
  }

  /** Versions whose weights are kept: the current ones and those that leases still hold. */
  public int hostVersions() {
    return weightsByKey.size();
  }

  /**
   * Registers what the last run remembered, then every adapter folder in the given roots that is
   * neither remembered nor was removed by a request. One bad adapter never keeps another away.
   *
   * @param scanRoots folders whose sub-folders are adapters, named by the sub-folder
   */
  public RestoreReport startup(List<Path> scanRoots) {
    return new AdapterStartup(this, manifest, jail).run(scanRoots);
  }

  /** Loads and checks the files as that version; nothing is visible yet. Name lock held. */
  AdapterLoader.Loaded load(AdapterRef ref, Path real) {
    AdapterLoader.filesOf(ref.name(), real).forEach(jail::requireInside);
    return loader.load(ref, real);
  }

  /** Runs a step of start-up under the name's lock. */
  <T> T alone(String name, Supplier<T> work) {
    return names.alone(name, work);
  }

  /**
   * Makes a version the current one. Name lock held.
   *
   * @param before given the key, which the engine can use already, before a name means it; if it
   *     throws, nothing has changed
   */
  AdapterInfo publish(AdapterRef ref, AdapterLoader.Loaded loaded, IntConsumer before) {
    int key = lastKey.incrementAndGet();
    weightsByKey.put(key, spool.store(loaded.weights()));
    try {
      before.accept(key);
    } catch (RuntimeException e) {
      drop(ref, key);
      throw e;
    }
    AdapterInfo info =
        new AdapterInfo(
            ref.name(),
            ref.version(),
            key,
            loaded.method(),
            loaded.rank(),
            loaded.targetModules(),
            loaded.weights().bytes(),
            Instant.now(),
            0,
            loaded.sha256());
    AdapterVersion old =
        current.put(ref.name(), new AdapterVersion(info, () -> drop(info.ref(), key)));
    if (old != null) {
      old.release();
    }
    LOG.infof(
        "adapter registered name=%s version=%d key=%d method=%s rank=%d bytes=%d",
        ref.name(), ref.version(), key, info.method(), info.rank(), info.bytes());
    return info;
  }

  private void drop(AdapterRef ref, int key) {
    weightsByKey.remove(key).free();
    try {
      retired.accept(key);
    } catch (RuntimeException e) {
      // The lease's owner can do nothing about it; the version is gone from the table either way.
      LOG.errorf(
          e, "adapter retire failed name=%s version=%d key=%d", ref.name(), ref.version(), key);
    }
    LOG.infof("adapter retired name=%s version=%d key=%d", ref.name(), ref.version(), key);
  }

  /**
   * @throws AdapterException INVALID_NAME
   */
  public void requireName(String name) {
    if (!NAME.matcher(name).matches() || name.equals(".") || name.equals("..")) {
      throw new AdapterException(
          INVALID_NAME,
          "adapter name '%s' is not of 1 to 128 characters A-Z a-z 0-9 . _ -"
              .formatted(name.length() > 200 ? name.substring(0, 200) + "..." : name));
    }
    if (name.equals(baseId)) {
      throw new AdapterException(
          INVALID_NAME, "'%s' is the base model's id; choose another name".formatted(name));
    }
  }

  private void requireExpected(String name, RegisterOptions options) {
    AdapterVersion version = current.get(name);
    int now = version == null ? 0 : version.infoAtLoad().version();
    OptionalInt expected = options.expectedVersion();
    if (expected.isPresent() && expected.getAsInt() != now) {
      throw new AdapterException(
          VERSION_MISMATCH,
          "adapter '%s' is at version %d, the request expected %d; read it again and retry"
              .formatted(name, now, expected.getAsInt()));
    }
    if (version != null && !options.replace()) {
      throw new AdapterException(
          ALREADY_LOADED,
          "adapter '%s' is registered already (version %d); ask to replace it"
              .formatted(name, now));
    }
  }

  private static AdapterException notFound(String name) {
    return new AdapterException(NOT_FOUND, "adapter '%s' is not registered".formatted(name));
  }
}
