package io.chorale.serve;

import io.quarkus.test.junit.QuarkusTestProfile;
import java.util.Map;
import java.util.Set;

/** The one profile of all HTTP tests, so that the server boots once for them. */
public final class ServeProfile implements QuarkusTestProfile {
  @Override
  public Map<String, String> getConfigOverrides() {
    return Map.of("chorale.host", "127.0.0.1", "chorale.port", "0");
  }

  @Override
  public Set<Class<?>> getEnabledAlternatives() {
    return Set.of(ServeBeans.class);
  }
}
