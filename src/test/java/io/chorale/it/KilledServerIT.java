package io.chorale.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.UncheckedIOException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code kill -9} at a random moment of a run of registrations, replacements and removals: after a
 * restart everything that was acknowledged is so, and what was under way is so or not, never half.
 */
class KilledServerIT {
  private static final int ROUNDS = 10;
  private static final List<String> SOURCES = List.of("lora-all-linear", "dora", "rslora");
  private static final List<String> NAMES = List.of("a", "b", "c", "d", "e");

  @TempDir Path temp;

  /**
   * What a name may be after a restart.
   *
   * @param version 0: not registered
   */
  private record State(int version, String sha256) {
    static final State NONE = new State(0, "");

    static State of(JsonNode adapter) {
      return new State(adapter.get("version").asInt(), adapter.get("sha256").asText());
    }
  }

  /** A change that was not acknowledged yet. */
  private record Change(String name, boolean removal) {}

  private final Map<String, State> acknowledged = new TreeMap<>();
  private volatile Change underWay;
  private int changes;
  private int interrupted;

  @Test
  void everyAcknowledgedChangeIsThereAfterAKillAndNothingIsHalfThere() throws Exception {
    AdapterRoot root = new AdapterRoot(temp, SOURCES.toArray(String[]::new));
    Random random = new Random(4);
    NAMES.forEach(name -> acknowledged.put(name, State.NONE));
    ServerProcess server = ServerProcess.start("killed-0", root.options());
    try {
      for (int round = 1; round <= ROUNDS; round++) {
        // Given: a client that changes one name after another
        Thread client = changing(server, new Random(random.nextLong()));
        Thread.sleep(random.nextInt(400));
        // When
        server.kill();
        client.join();
        server = ServerProcess.start("killed-" + round, root.options());
        // Then
        check(server);
      }
    } finally {
      server.close();
    }
    assertTrue(changes >= ROUNDS, "only " + changes + " changes were acknowledged");
    assertTrue(interrupted > 0, "no kill hit a change that was under way");
  }

  private Thread changing(ServerProcess server, Random random) {
    Thread client =
        new Thread(
            () -> {
              try {
                while (true) {
                  change(server, random);
                }
              } catch (UncheckedIOException gone) { // the server was killed
                return;
              }
            });
    client.setUncaughtExceptionHandler((thread, failure) -> acknowledged.put("failed", null));
    client.start();
    return client;
  }

  private void change(ServerProcess server, Random random) {
    String name = NAMES.get(random.nextInt(NAMES.size()));
    boolean exists = acknowledged.get(name).version() > 0;
    boolean removal = exists && random.nextInt(4) == 0;
    underWay = new Change(name, removal);
    if (removal) {
      HttpRequest delete = server.request("/admin/adapters/" + name).DELETE().build();
      HttpResponse<String> answer = server.send(delete);
      assertEquals(200, answer.statusCode(), answer.body());
      acknowledged.put(name, State.NONE);
    } else {
      String source = SOURCES.get(random.nextInt(SOURCES.size()));
      HttpResponse<String> answer = server.put(name, "kept/" + source);
      assertEquals(exists ? 200 : 201, answer.statusCode(), answer.body());
      acknowledged.put(name, State.of(ServerProcess.json(answer)));
    }
    underWay = null;
    changes++;
  }

  private void check(ServerProcess server) {
    Map<String, State> found = new TreeMap<>();
    NAMES.forEach(name -> found.put(name, State.NONE));
    for (JsonNode adapter : ServerProcess.json(server.get("/admin/adapters")).get("data")) {
      found.put(adapter.get("name").asText(), State.of(adapter));
    }
    if (underWay != null) { // not acknowledged: as before, or done
      interrupted++;
      State before = acknowledged.get(underWay.name());
      State after = found.get(underWay.name());
      boolean finished =
          underWay.removal() ? after.version() == 0 : after.version() > before.version();
      assertTrue(
          after.equals(before) || finished,
          "%s: was %s and is %s".formatted(underWay, before, after));
      acknowledged.put(underWay.name(), after);
      underWay = null;
    }
    assertEquals(acknowledged, found);
    found.forEach((name, state) -> answers(server, name, state));
    server.assertIdleAndWhole();
  }

  /** A registered name answers with its version, any other is unknown. */
  private static void answers(ServerProcess server, String name, State state) {
    HttpResponse<String> answer = server.send(server.chat(name, "hi", "\"max_tokens\": 2"));
    if (state.version() == 0) {
      assertEquals(404, answer.statusCode(), answer.body());
    } else {
      assertEquals(200, answer.statusCode(), answer.body());
      assertEquals(
          name + "@" + state.version(),
          answer.headers().firstValue("x-chorale-adapter").orElseThrow());
    }
  }
}
