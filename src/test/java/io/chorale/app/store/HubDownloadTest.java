package io.chorale.app.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HubDownloadTest {
  private static final byte[] WEIGHTS = new byte[500_000];

  static {
    new Random(11).nextBytes(WEIGHTS);
  }

  @TempDir Path cache;
  private final HubServer hub = new HubServer();

  @AfterEach
  void stop() {
    hub.close();
  }

  private BaseModelStore store(String... environment) {
    Map<String, String> map = new HashMap<>(Map.of("HF_ENDPOINT", hub.endpoint() + "/"));
    for (int i = 0; i < environment.length; i += 2) {
      map.put(environment[i], environment[i + 1]);
    }
    var quiet = new Progress(new PrintStream(new ByteArrayOutputStream()), false);
    return new BaseModelStore(cache, PinnedModel.SMOLLM2, map, quiet, 0);
  }

  private void holdFolder() {
    hub.files.put("config.json", "{}".getBytes(StandardCharsets.UTF_8));
    hub.files.put("tokenizer.json", "{\"a\":1}".getBytes(StandardCharsets.UTF_8));
    hub.files.put("model.safetensors", WEIGHTS);
  }

  private static String failure(BaseModelStore store, String model) {
    return assertThrows(ModelUnavailableException.class, () -> store.bring(Optional.of(model)))
        .getMessage();
  }

  private List<String> rangesOf(String name) {
    return hub.seen.stream()
        .filter(s -> s.path().endsWith("/" + name))
        .map(HubServer.Seen::range)
        .map(String::valueOf)
        .toList();
  }

  @Test
  void folderIsBroughtOnceAndThenTakenFromTheCache() throws Exception {
    // Given
    holdFolder();
    // When
    Path folder = store().bring(Optional.of("org/name"));
    int requests = hub.seen.size();
    Path again = store().bring(Optional.of("org/name"));
    // Then
    assertArrayEquals(WEIGHTS, Files.readAllBytes(folder.resolve("model.safetensors")));
    assertEquals(
        List.of("config.json", "model.safetensors", "tokenizer.json"), FakePython.names(folder));
    assertEquals(folder, again);
    assertEquals(requests, hub.seen.size());
    assertEquals("/org/name/resolve/main/config.json", hub.seen.get(0).path());
  }

  @Test
  void everyShardThatTheIndexNamesIsBrought() throws Exception {
    // Given
    holdFolder();
    hub.files.put(
        "model.safetensors.index.json",
        """
        {"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors", "c": "m-1.safetensors"}}"""
            .getBytes(StandardCharsets.UTF_8));
    hub.files.put("m-1.safetensors", new byte[] {1});
    hub.files.put("m-2.safetensors", new byte[] {2});
    // When
    Path folder = store().bring(Optional.of("org/name@v2"));
    // Then
    assertArrayEquals(new byte[] {1}, Files.readAllBytes(folder.resolve("m-1.safetensors")));
    assertArrayEquals(new byte[] {2}, Files.readAllBytes(folder.resolve("m-2.safetensors")));
    assertEquals("/org/name/resolve/v2/config.json", hub.seen.get(0).path());
  }

  @Test
  void shardNameThatLeavesTheFolderIsRefused() {
    // Given
    holdFolder();
    hub.files.put(
        "model.safetensors.index.json",
        "{\"weight_map\": {\"a\": \"../../x.safetensors\"}}".getBytes(StandardCharsets.UTF_8));
    // When
    String message = failure(store(), "org/name");
    // Then
    assertTrue(message.contains("names the shard '../../x.safetensors'"), message);
  }

  @Test
  void brokenConnectionGoesOnWhereItStopped() throws Exception {
    // Given
    holdFolder();
    hub.breaks.put("model.safetensors", List.of(100_000, 150_000));
    // When
    Path folder = store().bring(Optional.of("org/name"));
    // Then
    assertArrayEquals(WEIGHTS, Files.readAllBytes(folder.resolve("model.safetensors")));
    List<String> ranges = rangesOf("model.safetensors");
    assertEquals("null", ranges.get(0));
    assertEquals(3, ranges.size());
    assertTrue(offset(ranges.get(1)) > 0, ranges.toString());
    assertTrue(offset(ranges.get(2)) > offset(ranges.get(1)), ranges.toString());
  }

  @Test
  void nextStartGoesOnWhereThisOneGaveUp() throws Exception {
    // Given
    holdFolder();
    hub.breaks.put("model.safetensors", List.of(200_000, 0, 0, 0, 0)); // as many as one start tries
    // When
    String message = failure(store(), "org/name");
    Path folder = store().bring(Optional.of("org/name"));
    // Then
    assertTrue(message.contains("5 tries failed"), message);
    assertArrayEquals(WEIGHTS, Files.readAllBytes(folder.resolve("model.safetensors")));
    assertTrue(offset(rangesOf("model.safetensors").get(5)) > 0);
  }

  @Test
  void fileThatChangedMeanwhileIsBroughtFromItsBeginning() throws Exception {
    // Given
    holdFolder();
    hub.breaks.put("model.safetensors", List.of(200_000, 0, 0, 0, 0));
    failure(store(), "org/name");
    byte[] changed = new byte[WEIGHTS.length];
    hub.files.put("model.safetensors", changed);
    hub.etags.put("model.safetensors", "v2");
    // When
    Path folder = store().bring(Optional.of("org/name"));
    // Then
    assertArrayEquals(changed, Files.readAllBytes(folder.resolve("model.safetensors")));
  }

  @Test
  void oneGgufFileOfARepositoryCanBeNamed() throws Exception {
    // Given
    hub.files.put("model-q4.gguf", WEIGHTS);
    // When
    Path file = store().bring(Optional.of("org/name/model-q4.gguf"));
    // Then
    assertArrayEquals(WEIGHTS, Files.readAllBytes(file));
    assertEquals("model-q4.gguf", file.getFileName().toString());
  }

  @Test
  void keyIsNotHandedToTheHostThatTheHubRedirectsTo() {
    // Given
    try (HubServer storage = new HubServer()) {
      storage.files.put("model-q4.gguf", WEIGHTS);
      hub.files.put("model-q4.gguf", WEIGHTS);
      hub.redirectingTo(storage).wantingToken("secret");
      // When
      store("HF_TOKEN", "secret").bring(Optional.of("org/name/model-q4.gguf"));
      // Then
      assertEquals("Bearer secret", hub.seen.get(0).authorization());
      assertNull(storage.seen.get(0).authorization());
    }
  }

  @Test
  void bytesThatDoNotHaveTheHashTheHubNamedAreRefused() {
    // Given
    try (HubServer storage = new HubServer()) {
      storage.files.put("model-q4.gguf", new byte[WEIGHTS.length]);
      hub.files.put("model-q4.gguf", WEIGHTS);
      hub.etags.put("model-q4.gguf", HexFormat.of().formatHex(Bytes.sha256().digest(WEIGHTS)));
      hub.redirectingTo(storage);
      // When
      String message = failure(store(), "org/name/model-q4.gguf");
      // Then
      assertTrue(message.contains("its sha256 is not"), message);
    }
  }

  @Test
  void missingFileIsNamed() {
    // Given
    hub.files.put("config.json", "{}".getBytes(StandardCharsets.UTF_8));
    // When
    String message = failure(store(), "org/name");
    // Then
    assertTrue(message.contains("org/name@main has no tokenizer.json there (404)"), message);
  }

  @Test
  void refusedReadAsksForAKeyAtOnce() {
    // Given
    holdFolder();
    hub.wantingToken("secret");
    // When
    String message = failure(store(), "org/name");
    // Then
    assertTrue(message.contains("401; set HF_TOKEN"), message);
    assertEquals(Collections.singletonList("null"), rangesOf("config.json"));
  }

  @Test
  void unreachableHubIsNamedWithItsAddress() {
    // Given
    String endpoint = hub.endpoint();
    hub.close();
    // When
    String message = failure(store(), "org/name");
    // Then
    assertTrue(message.contains(endpoint), message);
    assertTrue(message.contains("ConnectException"), message);
  }

  private static int offset(String range) {
    return Integer.parseInt(range.replaceAll("\\D", ""));
  }
}
