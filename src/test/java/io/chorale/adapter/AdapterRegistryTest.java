package io.chorale.adapter;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.adapter.AdapterException.Code;
import io.chorale.lora.LoraWeights;
import io.chorale.lora.ModuleId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

class AdapterRegistryTest {
  @TempDir private Path temp;
  private Path root;
  private final List<Integer> retired = Collections.synchronizedList(new ArrayList<>());
  private AdapterRegistry registry;

  @BeforeEach
  void registryOverOneRoot() throws IOException {
    root = Files.createDirectories(temp.resolve("root")).toRealPath();
    new AdapterFolder().write(root.resolve("legal"));
    new AdapterFolder()
        .filled(AdapterFolder.Q0 + ".lora_A.weight", 7, 2, 8)
        .write(root.resolve("legal-2"));
    registry =
        new AdapterRegistry(
            AdapterFolder.loader(), "base", List.of(root), temp.resolve("state"), retired::add);
  }

  private AdapterInfo register(String name, String folder, RegisterOptions options) {
    return registry.register(name, Path.of(folder), options);
  }

  private static void assertRefused(Code code, Executable call) {
    assertEquals(code, assertThrows(AdapterException.class, call).code());
  }

  @Test
  void leaseTakenBeforeAReplacementKeepsItsVersionAndOneTakenAfterHasTheNew() {
    // Given
    register("legal", "legal", RegisterOptions.CREATE);
    AdapterLease before = registry.lease("legal");
    LoraWeights old = registry.weights(before.adapterKey());
    // When
    register("legal", "legal-2", RegisterOptions.REPLACE);
    AdapterLease after = registry.lease("legal");
    // Then
    assertEquals("legal@1", before.ref().toString());
    assertEquals("legal@2", after.ref().toString());
    assertEquals(values(old), values(registry.weights(before.adapterKey())));
    assertNotEquals(values(old), values(registry.weights(after.adapterKey())));
    assertTrue(retired.isEmpty());
  }

  @Test
  void weightsAreThoseOfTheFilesAsTheyWereRegisteredWhateverBecomesOfThem() throws IOException {
    // Given
    LoraWeights read =
        AdapterFolder.loader().load(new AdapterRef("legal", 1), root.resolve("legal")).weights();
    int key = register("legal", "legal", RegisterOptions.CREATE).adapterKey();
    // When
    Files.write(root.resolve("legal/adapter_model.safetensors"), new byte[3]);
    // Then
    LoraWeights kept = registry.weights(key);
    assertEquals("legal@1", kept.label());
    assertEquals(read.bytes(), kept.bytes());
    assertEquals(values(read), values(kept));
  }

  /** What is computed with. */
  private static Map<ModuleId, List<Object>> values(LoraWeights weights) {
    Map<ModuleId, List<Object>> values = new HashMap<>();
    weights
        .modules()
        .forEach(
            (id, module) ->
                values.put(
                    id,
                    List.of(
                        module.rank(),
                        module.scaling(),
                        Arrays.toString(module.a().shape()),
                        module.a().type(),
                        module.a().bytes(),
                        module.b().bytes())));
    return values;
  }

  @Test
  void replacedVersionIsRetiredOnceWhenItsLastLeaseReturns() {
    // Given
    register("legal", "legal", RegisterOptions.CREATE);
    AdapterLease first = registry.lease("legal");
    AdapterLease second = registry.lease("legal");
    register("legal", "legal-2", RegisterOptions.REPLACE);
    // When
    first.close();
    first.close();
    List<Integer> afterFirst = List.copyOf(retired);
    second.close();
    second.close();
    // Then
    assertEquals(List.of(), afterFirst);
    assertEquals(List.of(first.adapterKey()), retired);
    assertThrows(IllegalStateException.class, () -> registry.weights(first.adapterKey()));
    assertEquals(1, registry.hostVersions());
  }

  @Test
  void versionWithoutLeasesIsRetiredAtOnceWhenRemoved() {
    // Given
    int key = register("legal", "legal", RegisterOptions.CREATE).adapterKey();
    // When
    AdapterInfo removed = registry.remove("legal");
    // Then
    assertEquals(key, removed.adapterKey());
    assertEquals(List.of(key), retired);
    assertEquals(0, registry.hostVersions());
    assertTrue(registry.list().isEmpty());
    assertRefused(Code.NOT_FOUND, () -> registry.lease("legal"));
    assertRefused(Code.NOT_FOUND, () -> registry.remove("legal"));
  }

  @Test
  void nameRegisteredAgainAfterRemovalHasAHigherVersionAndANewKey() {
    // Given
    AdapterInfo first = register("legal", "legal", RegisterOptions.CREATE);
    registry.remove("legal");
    // When
    AdapterInfo second = register("legal", "legal", RegisterOptions.CREATE);
    // Then
    assertEquals(2, second.version());
    assertTrue(second.adapterKey() > first.adapterKey());
  }

  @Test
  void failedReplacementLeavesTheOldVersionServing() {
    // Given
    register("legal", "legal", RegisterOptions.CREATE);
    new AdapterFolder().with("peft_type", "\"IA3\"").write(root.resolve("bad"));
    // When
    assertRefused(Code.INVALID_ADAPTER, () -> register("legal", "bad", RegisterOptions.REPLACE));
    // Then
    assertEquals(1, registry.find("legal").orElseThrow().version());
    assertEquals(1, registry.hostVersions());
  }

  @Test
  void secondRegistrationOfANameMustAskToReplace() {
    // Given
    register("legal", "legal", RegisterOptions.CREATE);
    // When, Then
    assertRefused(Code.ALREADY_LOADED, () -> register("legal", "legal-2", RegisterOptions.CREATE));
  }

  @Test
  void expectedVersionMustBeTheCurrentOne() {
    // Given
    var expectAbsent = new RegisterOptions(true, OptionalInt.of(0));
    var expectOne = new RegisterOptions(true, OptionalInt.of(1));
    assertRefused(Code.VERSION_MISMATCH, () -> register("legal", "legal", expectOne));
    register("legal", "legal", expectAbsent);
    // When
    AdapterInfo replaced = register("legal", "legal-2", expectOne);
    // Then
    assertEquals(2, replaced.version());
    assertRefused(Code.VERSION_MISMATCH, () -> register("legal", "legal", expectOne));
    assertRefused(Code.VERSION_MISMATCH, () -> register("legal", "legal", expectAbsent));
  }

  @Test
  void namesThatAreNoNamesAreRefused() {
    assertAll(
        List.of("", ".", "..", "a b", "a/b", "ä", "x".repeat(129), "base", "a,b").stream()
            .map(
                name ->
                    () ->
                        assertRefused(
                            Code.INVALID_NAME,
                            () -> register(name, "legal", RegisterOptions.CREATE))));
  }

  @Test
  void longestNameIsTaken() {
    assertEquals(1, register("x".repeat(128), "legal", RegisterOptions.CREATE).version());
  }

  @Test
  void fileThatLinksOutOfTheRootIsForbidden() throws IOException {
    // Given
    Path outside = new AdapterFolder().write(temp.resolve("outside"));
    Path folder = Files.createDirectories(root.resolve("sly"));
    Files.copy(outside.resolve("adapter_config.json"), folder.resolve("adapter_config.json"));
    Files.createSymbolicLink(
        folder.resolve("adapter_model.safetensors"), outside.resolve("adapter_model.safetensors"));
    // When, Then
    assertRefused(Code.PATH_FORBIDDEN, () -> register("sly", "sly", RegisterOptions.CREATE));
  }

  @Test
  void infoCountsOpenLeasesAndShowsNoPath() {
    // Given
    register("legal", "legal", RegisterOptions.CREATE);
    // When
    try (AdapterLease one = registry.lease("legal");
        AdapterLease two = registry.lease("legal")) {
      AdapterInfo info = registry.find("legal").orElseThrow();
      // Then
      assertEquals(2, info.leases());
      assertEquals(one.adapterKey(), two.adapterKey());
      assertFalse(info.toString().contains(temp.toString()), info.toString());
    }
    assertEquals(0, registry.list().get(0).leases());
  }

  @Test
  void nameThatIsBeingLoadedIsBusyForASecondLoadThatWaitsTooLong() throws InterruptedException {
    // Given
    var locks = new NameLocks(Duration.ofMillis(20));
    var held = new CountDownLatch(1);
    var done = new CountDownLatch(1);
    Thread holder =
        new Thread(
            () ->
                locks.alone(
                    "legal",
                    () -> {
                      held.countDown();
                      return await(done);
                    }));
    holder.start();
    held.await();
    // When
    var refused = assertThrows(AdapterException.class, () -> locks.alone("legal", () -> "never"));
    String other = locks.alone("medical", () -> "other names go on");
    done.countDown();
    holder.join();
    // Then
    assertEquals(Code.BUSY, refused.code());
    assertEquals("other names go on", other);
    assertEquals(0, locks.size());
  }

  private static boolean await(CountDownLatch latch) {
    try {
      latch.await();
      return true;
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void retireThatThrowsDoesNotFailTheLeasesOwner() {
    // Given
    var stubborn =
        new AdapterRegistry(
            AdapterFolder.loader(),
            "base",
            List.of(root),
            temp.resolve("state-2"),
            key -> {
              throw new IllegalStateException("engine has stopped");
            });
    stubborn.register("legal", Path.of("legal"), RegisterOptions.CREATE);
    AdapterLease lease = stubborn.lease("legal");
    stubborn.remove("legal");
    // When
    lease.close();
    // Then
    assertEquals(0, stubborn.hostVersions());
  }
}
