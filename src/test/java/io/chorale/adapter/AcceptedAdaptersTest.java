package io.chorale.adapter;

import static io.chorale.adapter.AdapterFolder.Q0;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Forms of a good adapter that other versions and trainers write. */
class AcceptedAdaptersTest {
  private static final ModuleId Q0_ID = new ModuleId(0, LoraTarget.Q_PROJ);

  @TempDir private Path folder;

  private AdapterLoader.Loaded load(AdapterFolder adapter) {
    return AdapterFolder.loader().load(new AdapterRef("legal", 3), adapter.write(folder));
  }

  @Test
  void adapterNameInTheKeysIsTakenOff() {
    // Given
    var adapter =
        new AdapterFolder()
            .rename(Q0 + ".lora_A.weight", Q0 + ".lora_A.default.weight")
            .rename(Q0 + ".lora_B.weight", Q0 + ".lora_B.default.weight");
    // When
    LoraModule module = load(adapter).weights().modules().get(Q0_ID);
    // Then
    assertArrayEquals(new long[] {2, 8}, module.a().shape());
    assertEquals(2f, module.scaling());
  }

  @Test
  void keysWithoutPeftsPrefixAreUnderstood() {
    // Given
    String plain = "model.layers.0.self_attn.q_proj";
    var adapter =
        new AdapterFolder()
            .rename(Q0 + ".lora_A.weight", plain + ".lora_A.weight")
            .rename(Q0 + ".lora_B.weight", plain + ".lora_B.weight");
    // When
    LoraModule module = load(adapter).weights().modules().get(Q0_ID);
    // Then
    assertArrayEquals(new long[] {8, 2}, module.b().shape());
  }

  @Test
  void magnitudeIsFoundWithAndWithoutWeightInItsName() {
    // Given
    var adapter = new AdapterFolder().with("use_dora", "true");
    adapter.f32(Q0 + ".lora_magnitude_vector.weight", 8);
    adapter.f32(Q0.replace("layers.0", "layers.1") + ".lora_magnitude_vector", 8);
    adapter.f32(Q0.replace("q_proj", "v_proj") + ".lora_magnitude_vector.default.weight", 4);
    adapter.f32("base_model.model.model.layers.1.self_attn.v_proj.lora_magnitude_vector", 4);
    // When
    AdapterLoader.Loaded loaded = load(adapter);
    // Then
    assertEquals("dora", loaded.method());
    loaded.weights().modules().values().forEach(m -> assertEquals(1, m.magnitude().shape().length));
  }

  @Test
  void configOfFourKeysHasPeftsDefaultsForTheRest() {
    // Given torchtune's minimal config, which AdapterFolder writes
    var adapter = new AdapterFolder();
    // When
    AdapterLoader.Loaded loaded = load(adapter);
    // Then
    assertEquals("lora", loaded.method());
    assertEquals("[q_proj, v_proj]", loaded.targetModules().toString());
    assertEquals(4 * (2 * (16 + 16) + 2 * (16 + 8)), loaded.weights().bytes());
    assertEquals("legal@3", loaded.weights().label());
  }

  @Test
  void nullTargetsMeanPeftsDefaultForTheFamily() {
    assertEquals(
        4, load(new AdapterFolder().with("target_modules", "null")).weights().modules().size());
  }

  @Test
  void unsetOptionsOfOtherVersionsChangeNothing() {
    // Given
    var adapter =
        new AdapterFolder()
            .with("some_future_option", "null")
            .with("another_one", "false")
            .with("third_config", "{}")
            .with("qalora_group_size", "16")
            .with("eva_config", "{\"rho\": 2.0}")
            .with("init_lora_weights", "\"eva\"")
            .with("lora_dropout", "0.1")
            .with("bias", "\"all\"")
            .with("chorale_base_fingerprint", "\"" + AdapterFolder.FINGERPRINT + "\"");
    // When
    AdapterLoader.Loaded loaded = load(adapter);
    // Then
    assertEquals(2, loaded.rank());
  }

  @Test
  void weightsOutliveTheirFile() throws IOException {
    // Given
    AdapterLoader.Loaded loaded = load(new AdapterFolder());
    ByteBuffer before = loaded.weights().modules().get(Q0_ID).a().bytes();
    byte[] copy = new byte[before.remaining()];
    before.duplicate().get(copy);
    // When
    Path file = folder.resolve("adapter_model.safetensors");
    Files.write(file, new byte[(int) Files.size(file)]);
    // Then
    assertEquals(ByteBuffer.wrap(copy), before);
    assertTrue(before.hasArray());
  }

  @Test
  void sha256IsThatOfSha256sumsOutput() throws IOException {
    // Given
    new AdapterFolder().write(folder);
    Files.writeString(folder.resolve("adapter_config.json"), "{\"peft_type\":\"LORA\",\"r\":2}\n");
    // When
    AdapterLoader.Loaded loaded = AdapterFolder.loader().load(new AdapterRef("legal", 1), folder);
    // Then: cd FOLDER; sha256sum adapter_config.json; (sha256sum * | sha256sum)
    assertEquals(
        "ee48ec70bc4e503ca210abef78298605baa917516e73a0845a2e130cdbfaaa69",
        loaded.fileSha256().get("adapter_config.json"));
    assertEquals(
        "646ad82b090b3b5220357e2654172b6b22ec1cfcbc1845c3fcb3bdf0bb00947b", loaded.sha256());
  }
}
