package io.chorale.clients;

import io.chorale.it.AdapterRoot;
import io.chorale.it.ServerProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

/**
 * The contract against the packaged server with a tiny model, or against a server that was started
 * before:
 *
 * <pre>
 *   mvn test-compile failsafe:integration-test failsafe:verify -Dit.test=JavaClientsIT \
 *     -Dclients.url=http://127.0.0.1:8000 -Dclients.model=BASE -Dclients.adapter=legal \
 *     -Dclients.key=KEY -Dclients.flood=200
 * </pre>
 */
class JavaClientsIT extends JavaClientsContract {
  private static final String KEY = "key-of-the-test";
  private static final String ADAPTER = "lora-all-linear";

  @TempDir static Path temp;
  private static ServerProcess server;

  @BeforeAll
  static void start() throws IOException {
    if (System.getProperty("clients.url") == null) {
      AdapterRoot root = new AdapterRoot(temp);
      root.copy(ADAPTER, ADAPTER);
      Path keys = Files.writeString(temp.resolve("keys"), KEY);
      server =
          ServerProcess.start(
              "java-clients",
              root.options(
                  "--api-key-file", keys.toString(), "--max-queued", "1", "--max-running", "1"));
    }
  }

  @AfterAll
  static void stop() {
    if (server != null) {
      server.close();
    }
  }

  private static String property(String name, String unset) {
    return System.getProperty("clients." + name, unset);
  }

  @Override
  String url() {
    return server == null ? property("url", null) : server.url();
  }

  @Override
  String model() {
    return property("model", ServerProcess.TINY);
  }

  @Override
  String adapter() {
    return property("adapter", ADAPTER);
  }

  @Override
  String apiKey() {
    return property("key", KEY);
  }

  @Override
  int flood() {
    return Integer.parseInt(property("flood", "100"));
  }
}
