package io.chorale.app;

import io.quarkus.arc.DefaultBean;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;

/** Builds the server's parts out of the settings. */
@Singleton
final class Wiring {

  @Produces
  @Singleton
  @DefaultBean
  ServeSettings settings(ChoraleConfig config) {
    return ServeSettings.of(config);
  }
}
