package io.chorale.adapter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.adapter.RestoreReport.Kind;
import io.chorale.adapter.RestoreReport.Outcome;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a registry remembers over restarts, crashes and a disk that fails. */
class AdapterPersistenceTest {
  @TempDir private Path temp;
  private Path root;
  private Path state;

  @BeforeEach
  void rootWithTwoAdapters() throws IOException {
    root = Files.createDirectories(temp.resolve("root"));
    state = temp.resolve("state");
    new AdapterFolder().write(root.resolve("legal"));
    new AdapterFolder()
        .filled(AdapterFolder.Q0 + ".lora_A.weight", 2, 2, 8)
        .write(root.resolve("code"));
  }

  private AdapterRegistry start() {
    return new AdapterRegistry(AdapterFolder.loader(), "base", List.of(root), state, key -> {});
  }

  private AdapterRegistry startWith(FileOps ops) {
    return new AdapterRegistry(
        AdapterFolder.loader(),
        "base",
        new PathJail(List.of(root)),
        AdapterManifest.open(state, ops),
        key -> {},
        Duration.ofSeconds(1));
  }

  private static List<String> served(AdapterRegistry registry) {
    return registry.list().stream().map(info -> info.ref().toString()).toList();
  }

  private static AdapterInfo register(AdapterRegistry registry, String name, String folder) {
    return registry.register(name, Path.of(folder), RegisterOptions.REPLACE);
  }

  @Test
  void foldersInTheRootAreServedAtTheFirstStart() {
    // When
    AdapterRegistry registry = start();
    RestoreReport report = registry.startup(List.of(root));
    // Then
    assertEquals(
        List.of(new Outcome("code", Kind.FOUND, 1, ""), new Outcome("legal", Kind.FOUND, 1, "")),
        report.outcomes());
    assertEquals(List.of("code@1", "legal@1"), served(registry));
  }

  @Test
  void restartServesTheSameVersionsOfTheSameBytes() {
    // Given
    AdapterRegistry first = start();
    first.startup(List.of(root));
    register(first, "legal", "legal");
    register(first, "extra", "code");
    String sha = first.find("extra").orElseThrow().sha256();
    // When
    AdapterRegistry second = start();
    RestoreReport report = second.startup(List.of(root));
    // Then
    assertEquals(List.of("code@1", "extra@1", "legal@2"), served(second));
    assertTrue(report.outcomes().stream().allMatch(o -> o.kind() == Kind.RESTORED));
    assertEquals(sha, second.find("extra").orElseThrow().sha256());
  }

  @Test
  void removedAdapterStaysAwayThoughItsFolderIsStillInTheRoot() {
    // Given
    AdapterRegistry first = start();
    first.startup(List.of(root));
    first.remove("legal");
    // When
    AdapterRegistry second = start();
    RestoreReport report = second.startup(List.of(root));
    // Then
    assertEquals(List.of("code@1"), served(second));
    assertTrue(report.outcomes().contains(new Outcome("legal", Kind.STAYS_REMOVED, 0, "")));
  }

  @Test
  void removedNameComesBackByRequestWithAHigherVersion() {
    // Given
    AdapterRegistry first = start();
    first.startup(List.of(root));
    first.remove("legal");
    AdapterRegistry second = start();
    second.startup(List.of(root));
    // When
    AdapterInfo again =
        second.register("legal", Path.of("legal"), new RegisterOptions(false, OptionalInt.of(0)));
    // Then
    assertEquals(2, again.version());
  }

  @Test
  void filesThatChangedWhileStoppedAreServedAsANewVersion() {
    // Given
    start().startup(List.of(root));
    new AdapterFolder()
        .filled(AdapterFolder.Q0 + ".lora_A.weight", 3, 2, 8)
        .write(root.resolve("legal"));
    // When
    AdapterRegistry second = start();
    RestoreReport report = second.startup(List.of(root));
    // Then
    assertTrue(report.outcomes().contains(new Outcome("legal", Kind.CHANGED, 2, "")));
    assertEquals("legal@2", second.lease("legal").ref().toString());
    AdapterRegistry third = start();
    third.startup(List.of());
    assertEquals(List.of("code@1", "legal@2"), served(third));
  }

  @Test
  void oneBadAdapterKeepsNoOtherAway() throws IOException {
    // Given
    start().startup(List.of(root));
    Files.writeString(root.resolve("legal/adapter_config.json"), "{}");
    // When
    AdapterRegistry second = start();
    RestoreReport report = second.startup(List.of(root));
    // Then
    assertEquals(List.of("code@1"), served(second));
    assertEquals(
        List.of(
            new Outcome(
                "legal", Kind.FAILED, 0, "adapter 'legal': peft_type is '', only LORA is served")),
        report.failed());
  }

  @Test
  void failedRegistrationIsRememberedUntilItsFilesAreBackOrItIsRemoved() throws IOException {
    // Given
    start().startup(List.of(root));
    Files.move(root.resolve("legal"), temp.resolve("away"));
    AdapterRegistry second = start();
    RestoreReport gone = second.startup(List.of(root));
    // When
    Files.move(temp.resolve("away"), root.resolve("legal"));
    AdapterRegistry third = start();
    third.startup(List.of(root));
    AdapterInfo removed = second.remove("legal");
    // Then
    assertEquals("no adapter at 'legal' in the adapter roots", gone.failed().get(0).reason());
    assertEquals(List.of("code@1", "legal@1"), served(third));
    assertEquals(-1, removed.adapterKey());
  }

  @Test
  void adapterOutsideTheRootsOfThisStartIsNotServed() throws IOException {
    // Given
    start().startup(List.of(root));
    Path other = Files.createDirectories(temp.resolve("other"));
    var moved =
        new AdapterRegistry(AdapterFolder.loader(), "base", List.of(other), state, key -> {});
    // When
    RestoreReport report = moved.startup(List.of(other));
    // Then
    assertEquals(2, report.failed().size());
    assertTrue(moved.list().isEmpty());
  }

  @Test
  void damagedStateStopsTheStartAndNamesTheFile() throws IOException {
    // Given
    start().startup(List.of(root));
    Path file = state.resolve("adapters.json");
    byte[] whole = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(whole, whole.length / 2));
    // When
    var stopped = assertThrows(IllegalStateException.class, this::start);
    // Then
    assertTrue(stopped.getMessage().startsWith("adapter state " + file + " is damaged"));
    assertTrue(stopped.getMessage().contains("move it away to start without"));
  }

  @Test
  void stateOfANewerFormatStopsTheStart() throws IOException {
    // Given
    Files.createDirectories(state);
    Files.writeString(state.resolve("adapters.json"), "{\"format\": 2, \"adapters\": {}}");
    // When
    var stopped = assertThrows(IllegalStateException.class, this::start);
    // Then
    assertTrue(stopped.getMessage().contains("format is 2, wanted 1"), stopped.getMessage());
  }

  /** Fails or dies at one numbered step; a write that dies leaves half the bytes. */
  private static final class Faulty implements FileOps {
    private final int at;
    private final boolean dies;
    private int step;

    Faulty(int at, boolean dies) {
      this.at = at;
      this.dies = dies;
    }

    private void next() throws IOException {
      if (step++ == at) {
        if (dies) {
          throw new Died();
        }
        throw new IOException("no space left on device");
      }
    }

    @Override
    public void write(Path file, byte[] bytes) throws IOException {
      if (step == at) {
        DISK.write(file, Arrays.copyOf(bytes, bytes.length / 2));
      }
      next();
      DISK.write(file, bytes);
    }

    @Override
    public void syncFile(Path file) throws IOException {
      next();
      DISK.syncFile(file);
    }

    @Override
    public void replace(Path from, Path to) throws IOException {
      next();
      DISK.replace(from, to);
    }

    @Override
    public void syncDirectory(Path directory) throws IOException {
      next();
      DISK.syncDirectory(directory);
    }
  }

  private static final class Died extends Error {
    Died() {
      super("the process died here");
    }
  }

  @Test
  void deathBetweenAnyTwoFileStepsLeavesTheOldOrTheNewRegistration() {
    List<List<String>> seen = new ArrayList<>();
    for (int step = 0; step < 4; step++) {
      // Given
      state = temp.resolve("state-" + step);
      start().startup(List.of(root));
      AdapterRegistry dying = startWith(new Faulty(step, true));
      dying.startup(List.of());
      // When
      assertThrows(Died.class, () -> register(dying, "legal", "code"));
      AdapterRegistry restarted = start();
      restarted.startup(List.of());
      // Then
      assertEquals(List.of("code@1", "legal@1"), served(dying));
      seen.add(served(restarted));
    }
    List<String> before = List.of("code@1", "legal@1");
    List<String> after = List.of("code@1", "legal@2");
    assertEquals(List.of(before, before, before, after), seen);
  }

  @Test
  void diskThatFailsAtAnyStepChangesNothingInMemoryOrOnDisk() {
    for (int step = 0; step < 4; step++) {
      // Given
      state = temp.resolve("state-" + step);
      start().startup(List.of(root));
      AdapterRegistry failing = startWith(new Faulty(step, false));
      failing.startup(List.of());
      // When
      var failure =
          assertThrows(UncheckedIOException.class, () -> register(failing, "legal", "code"));
      AdapterRegistry restarted = start();
      restarted.startup(List.of());
      // Then
      assertTrue(failure.getMessage().contains("no space left on device"), failure.getMessage());
      assertEquals(List.of("code@1", "legal@1"), served(failing));
      assertEquals(List.of("code@1", "legal@1"), served(restarted));
      assertEquals(2, failing.hostVersions());
      assertEquals(2, register(failing, "legal", "code").version());
    }
  }
}
