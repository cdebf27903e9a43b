package io.chorale.app;

import io.chorale.adapter.AdapterLoader;
import io.chorale.adapter.AdapterRegistry;
import io.chorale.adapter.push.UploadStore;
import io.chorale.engine.Engine;
import io.chorale.serve.ServeAccess;
import io.chorale.serve.ServedModel;
import io.quarkus.arc.DefaultBean;
import io.quarkus.runtime.StartupEvent;
import jakarta.enterprise.event.Observes;
import jakarta.enterprise.inject.Disposes;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Builds the server's parts out of the settings. Each is a default bean, so that tests of the HTTP
 * layer can stand in their own without a model.
 */
@Singleton
final class Wiring {

  @Produces
  @Singleton
  @DefaultBean
  ServeSettings settings(ChoraleConfig config) {
    return ServeSettings.of(config);
  }

  /** Made at start-up, so that the port opens only when a request can be answered. */
  @Produces
  @Singleton
  @DefaultBean
  Server server(ServeSettings settings) throws IOException {
    return Server.start(settings);
  }

  void stop(@Disposes Server server) {
    server.close();
  }

  @Produces
  @Singleton
  @DefaultBean
  Engine engine(Server server) {
    return server.engine();
  }

  /** Makes whichever engine there is: where a test stands in its own, no model is loaded. */
  void start(@Observes StartupEvent event, Engine engine) {}

  @Produces
  @Singleton
  @DefaultBean
  AdapterRegistry adapters(Server server) {
    return server.adapters();
  }

  /** Takes pushed adapters into the first adapter root. */
  @Produces
  @Singleton
  @DefaultBean
  UploadStore uploads(ServeSettings settings) {
    return new UploadStore(
        settings.adapterRoots().isEmpty() ? null : settings.adapterRoots().get(0),
        AdapterLoader.DEFAULT_MAX_BYTES);
  }

  @Produces
  @Singleton
  @DefaultBean
  ServedModel model(Server server) {
    return server.model();
  }

  @Produces
  @Singleton
  @DefaultBean
  ServeAccess access(ServeSettings settings) {
    List<String> apiKeys =
        settings.apiKeyFile().map(file -> List.copyOf(KeyFile.read(file))).orElse(List.of());
    Set<String> admin = settings.adminKeyFile().map(KeyFile::read).orElse(Set.of());
    if (admin.size() > 1) {
      throw new UsageException(
          "key file '%s' holds %d admin keys, wanted one"
              .formatted(settings.adminKeyFile().orElseThrow(), admin.size()));
    }
    return new ServeAccess(
        apiKeys, admin.isEmpty() ? Optional.empty() : Optional.of(admin.iterator().next()));
  }
}
