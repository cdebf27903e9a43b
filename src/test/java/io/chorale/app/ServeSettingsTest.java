package io.chorale.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.kernel.Precision;
import io.smallrye.config.SmallRyeConfigBuilder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ServeSettingsTest {
  @TempDir Path temp;

  private static ServeSettings settings(String... pairs) {
    Map<String, String> map = new HashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      map.put("chorale." + pairs[i], pairs[i + 1]);
    }
    return ServeSettings.of(
        new SmallRyeConfigBuilder()
            .withMapping(ChoraleConfig.class)
            .withDefaultValues(map)
            .build()
            .getConfigMapping(ChoraleConfig.class));
  }

  @Test
  void defaultsAreThoseOfTheConfiguration() {
    // When
    ServeSettings settings = settings();
    // Then
    assertEquals(Optional.empty(), settings.model());
    assertEquals("127.0.0.1", settings.host());
    assertEquals(8000, settings.port());
    assertEquals(ServeSettings.Device.CPU, settings.device());
    assertEquals(1L << 30, settings.kvMemoryBytes());
    assertEquals(Precision.DEFAULT, settings.precision());
    assertEquals(OptionalInt.empty(), settings.maxModelTokens());
  }

  @ParameterizedTest
  @CsvSource({
    "port, 65536, --port (chorale.port) is 65536",
    "max-loras, 0, --max-loras (chorale.max-loras) is 0",
    "max-batch-tokens, 0, --max-batch-tokens (chorale.max-batch-tokens) is 0",
    "max-queued, 0, --max-queued (chorale.max-queued) is 0",
    "max-model-tokens, 0, --max-model-tokens (chorale.max-model-tokens) is 0",
    "kv-block-tokens, 257, --kv-block-tokens (chorale.kv-block-tokens) is 257",
    "speculative-tokens, 65, --speculative-tokens (chorale.speculative-tokens) is 65",
    "speculative-ngram, 0, --speculative-ngram (chorale.speculative-ngram) is 0",
    "threads, 0, --threads (chorale.threads) is 0",
    "kv-memory, 1KiB, --kv-memory (chorale.kv-memory) is 1024 bytes",
    "kv-memory, much, --kv-memory (chorale.kv-memory): 'much' is no size",
    "kv-cache, int4, --kv-cache (chorale.kv-cache) is 'int4'",
    "nf4, quick, --nf4 (chorale.nf4) is 'quick'",
    "device, tpu, --device (chorale.device) is 'tpu'",
    "quantize, int3, --quantize (chorale.quantize) is 'int3'",
    "max-running, 600, --max-running (chorale.max-running) is 600",
    "served-model-name, a b, --served-model-name (chorale.served-model-name) is 'a b'",
    "adapter-root, /nowhere/at/all, --adapter-root (chorale.adapter-root) is '/nowhere/at/all'",
    "api-key-file, /nowhere, --api-key-file (chorale.api-key-file) is '/nowhere'",
    "admin-key-file, /nowhere, --admin-key-file (chorale.admin-key-file) is '/nowhere'",
  })
  void valueOutOfBoundsIsNamedWithWhatWasWanted(String setting, String value, String message) {
    // When
    var failure = assertThrows(UsageException.class, () -> settings(setting, value));
    // Then
    assertTrue(failure.getMessage().startsWith(message), failure.getMessage());
    assertTrue(failure.getMessage().contains("wanted "), failure.getMessage());
  }

  @Test
  void severalAdapterRootsAreMadeAbsoluteAndNamedOnce() throws Exception {
    // Given
    Path a = Files.createDirectory(temp.resolve("a"));
    Path b = Files.createDirectory(temp.resolve("b"));
    // When
    ServeSettings settings = settings("adapter-root", a + "," + b + "," + a + "/../a");
    // Then
    assertEquals(List.of(a, b), settings.adapterRoots());
  }

  @ParameterizedTest
  @CsvSource({
    "4096, 4096",
    "1k, 1024",
    "512MiB, 536870912",
    "2 GB, 2147483648",
    "1T, 1099511627776"
  })
  void sizeIsReadWithItsUnit(String text, long bytes) {
    assertEquals(bytes, ByteSize.parse(text));
  }

  @Test
  void sizeThatOverflowsIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> ByteSize.parse("999999999999999T"));
  }

  @Test
  void keyFileSkipsCommentsAndKeepsTheOrder() throws Exception {
    // Given
    Path file = temp.resolve("keys");
    Files.writeString(file, "# for the web\nsk-second-key\n\n  sk-first-key  \n");
    // When
    var keys = KeyFile.read(file);
    // Then
    assertEquals(List.of("sk-second-key", "sk-first-key"), List.copyOf(keys));
  }

  @Test
  void badKeyIsNamedByItsLineAndNeverShown() throws Exception {
    // Given
    Path file = temp.resolve("keys");
    Files.writeString(file, "sk-good-enough\nmy secret key\n");
    // When
    String message = assertThrows(UsageException.class, () -> KeyFile.read(file)).getMessage();
    // Then
    assertTrue(message.contains("line 2: 13 characters"), message);
    assertTrue(!message.contains("secret"), message);
  }

  @Test
  void keyFileWithoutAKeyIsRefused() throws Exception {
    // Given
    Path file = temp.resolve("keys");
    Files.writeString(file, "# none yet\n");
    // When
    String message = assertThrows(UsageException.class, () -> KeyFile.read(file)).getMessage();
    // Then
    assertTrue(message.contains("holds no key"), message);
  }
}
