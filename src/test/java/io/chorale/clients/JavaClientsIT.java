package io.chorale.clients;

import java.util.Objects;
import org.junit.jupiter.api.Tag;

/**
 * The contract against a server that was started before (by hand, or by CI). Not part of {@code mvn
 * verify}, whose build starts no server with a real model:
 *
 * <pre>
 *   mvn test-compile failsafe:integration-test failsafe:verify -Dit.test=JavaClientsIT \
 *     -Dit.excludedGroups= -Dclients.url=http://127.0.0.1:8000 -Dclients.model=BASE -Dclients.adapter=legal \
 *     -Dclients.key=KEY -Dclients.flood=200
 * </pre>
 */
@Tag("started-server")
class JavaClientsIT extends JavaClientsContract {
  private static String property(String name) {
    return Objects.requireNonNull(
        System.getProperty("clients." + name), "-Dclients." + name + " is not set");
  }

  @Override
  String url() {
    return property("url");
  }

  @Override
  String model() {
    return property("model");
  }

  @Override
  String adapter() {
    return property("adapter");
  }

  @Override
  String apiKey() {
    return property("key");
  }

  @Override
  int flood() {
    return Integer.parseInt(property("flood"));
  }
}
