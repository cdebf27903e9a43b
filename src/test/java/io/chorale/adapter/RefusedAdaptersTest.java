package io.chorale.adapter;

import static io.chorale.adapter.AdapterFolder.Q0;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Adapters that are wrong in one place, and the one reason that each is refused with. */
class RefusedAdaptersTest {
  private static final AdapterRef LEGAL = new AdapterRef("legal", 1);
  private static final String A0 = Q0 + ".lora_A.weight";
  private static final String B0 = Q0 + ".lora_B.weight";

  @TempDir private Path folder;

  private static Arguments bad(String reason, UnaryOperator<AdapterFolder> spoil) {
    return Arguments.of(reason, spoil);
  }

  private static String option(String key, String value, String why) {
    return "option %s = %s is not served: %s".formatted(key, value, why);
  }

  static Stream<Arguments> configs() {
    return Stream.of(
        bad("peft_type is 'IA3', only LORA is served", f -> f.with("peft_type", "\"IA3\"")),
        bad("peft_type is '', only LORA is served", f -> f.with("peft_type", "null")),
        bad(
            "task_type is 'SEQ_CLS', only CAUSAL_LM is served",
            f -> f.with("task_type", "\"SEQ_CLS\"")),
        bad(
            "fan_in_fan_out is true: transposed (GPT-2) weights are not in this base model",
            f -> f.with("fan_in_fan_out", "true")),
        bad("lora_alpha is 0: the adapter would change nothing", f -> f.with("lora_alpha", "0.0")),
        bad("adapter_config.json: r is \"2\", wanted a whole number", f -> f.with("r", "\"2\"")),
        bad(
            "adapter_config.json: use_dora is 1, wanted true or false",
            f -> f.with("use_dora", "1")),
        bad(
            "adapter_config.json: rank_pattern 'q_proj' is 2.5, wanted a whole number",
            f -> f.with("rank_pattern", "{\"q_proj\": 2.5}")),
        bad("model.layers.0.self_attn.q_proj has rank 0, wanted 1..512", f -> f.with("r", "0")),
        bad(
            "model.layers.0.self_attn.q_proj has rank 513, wanted 1..512",
            f -> f.with("rank_pattern", "{\"q_proj\": 513}")));
  }

  static Stream<Arguments> inits() {
    return Stream.of(
        bad(
            "init_lora_weights is 'pissa_niter_16', which changes the base model's weights; save it"
                + " with PEFT's path_initial_model_for_weight_conversion and load that",
            f -> f.with("init_lora_weights", "\"pissa_niter_16\"")),
        bad(
            "init_lora_weights is 'loftq', which changes the base model's weights; save it with"
                + " PEFT's path_initial_model_for_weight_conversion and load that",
            f -> f.with("init_lora_weights", "\"loftq\"")),
        bad(
            "init_lora_weights is 'magic', which is not known; known: true, false, gaussian, eva,"
                + " orthogonal, mica",
            f -> f.with("init_lora_weights", "\"magic\"")));
  }

  static Stream<Arguments> options() {
    return Stream.of(
        bad(
            option("use_qalora", "true", "QA-LoRA pools its inputs"),
            f -> f.with("use_qalora", "true")),
        bad(
            option("trainable_token_indices", "[3,4]", "single trained token rows are not served"),
            f -> f.with("trainable_token_indices", "[3, 4]")),
        bad(
            option(
                "layer_replication", "[[0,2]]", "layer replication changes the base model's depth"),
            f -> f.with("layer_replication", "[[0, 2]]")),
        bad(
            option("alora_invocation_tokens", "[5]", "activated LoRA switches on in mid-sequence"),
            f -> f.with("alora_invocation_tokens", "[5]")),
        bad(
            option(
                "target_parameters",
                "[\"experts.gate_up_proj\"]",
                "bare parameters have no module in this base model"),
            f -> f.with("target_parameters", "[\"experts.gate_up_proj\"]")),
        bad(
            option(
                "megatron_config",
                "{\"tp\":2}",
                "Megatron's parallel layers store sharded tensors"),
            f -> f.with("megatron_config", "{\"tp\": 2}")),
        bad(
            "option use_new_thing = true is not known and may change the arithmetic; remove it if it"
                + " does not",
            f -> f.with("use_new_thing", "true")));
  }

  static Stream<Arguments> targets() {
    return Stream.of(
        bad(
            "modules_to_save names 'score'; only embed_tokens and lm_head can be replaced whole",
            f -> f.with("modules_to_save", "[\"score\"]")),
        bad(
            "layers_to_transform and layers_pattern only go with a list of target_modules, it has the"
                + " pattern '.*q_proj'",
            f -> f.with("target_modules", "\".*q_proj\"").with("layers_to_transform", "[0]")),
        bad(
            "layers_pattern is set without layers_to_transform",
            f -> f.with("layers_pattern", "\"layers\"")),
        bad(
            "target_modules [c_attn] match no module of base model 'tiny'; it has q_proj k_proj v_proj"
                + " o_proj gate_proj up_proj down_proj in layers 0..1, embed_tokens and lm_head",
            f -> f.with("target_modules", "[\"c_attn\"]")),
        bad(
            "'(' is not a regular expression that can be read",
            f -> f.with("target_modules", "\"(\"")),
        bad(
            "pattern '(.*a?){30}x' takes too long to match 'model.layers.0.self_attn.q_proj'",
            f -> f.with("target_modules", "\"(.*a?){30}x\"")),
        bad(
            "it was trained on the base with fingerprint abc, this server runs "
                + AdapterFolder.FINGERPRINT
                + "; serve that base or train again",
            f -> f.with("chorale_base_fingerprint", "\"abc\"")));
  }

  static Stream<Arguments> tensors() {
    return Stream.of(
        bad(
            "layers.0.self_attn.q_proj lora_A is [2, 6], base model wants [2, 8]; was it trained on"
                + " another base?",
            f -> f.f32(A0, 2, 6)),
        bad(
            "layers.0.self_attn.q_proj lora_B is [6, 2], base model wants [8, 2]; was it trained on"
                + " another base?",
            f -> f.f32(B0, 6, 2)),
        bad(
            "layers.0.self_attn.q_proj lora_A is [16], base model wants [2, 8]; was it trained on"
                + " another base?",
            f -> f.f32(A0, 16)),
        bad("tensor " + A0 + " has rank 3, adapter_config.json says 2", f -> f.f32(A0, 3, 8)),
        bad("tensor " + A0 + " has rank 0, adapter_config.json says 2", f -> f.f32(A0, 0, 8)));
  }

  static Stream<Arguments> partners() {
    return Stream.of(
        bad("layers.0.self_attn.q_proj has no lora_B tensor", f -> f.drop(B0)),
        bad("layers.0.self_attn.q_proj has no lora_A tensor", f -> f.drop(A0)),
        bad(
            "target_modules [q_proj, v_proj, o_proj] name layers.0.self_attn.o_proj, the file has no"
                + " tensors for it",
            f -> f.with("target_modules", "[\"q_proj\", \"v_proj\", \"o_proj\"]")),
        bad(
            "tensor base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight is not used:"
                + " adapter_config.json's target_modules do not name its module",
            f -> f.with("target_modules", "[\"q_proj\"]")),
        bad(
            "none of the file's 0 tensors belongs to a module of base model 'tiny'",
            AdapterFolder::dropAll),
        bad(
            "none of the file's 1 tensors belongs to a module of base model 'tiny': base_model.model"
                + ".transformer.h.0.attn.c_attn.lora_A.weight: base model 'tiny' has no such module",
            f ->
                f.dropAll()
                    .f32("base_model.model.transformer.h.0.attn.c_attn.lora_A.weight", 2, 8)),
        bad(
            "tensor base_model.model.model.layers.7.mlp.up_proj.lora_A.weight is not used: base model"
                + " 'tiny' has 2 layers; was it trained on another base?",
            f -> f.f32("base_model.model.model.layers.7.mlp.up_proj.lora_A.weight", 2, 8)));
  }

  static Stream<Arguments> leftovers() {
    return Stream.of(
        bad(
            "tensor base_model.model.model.norm.weight is not used: base model 'tiny' has no such"
                + " module (and 1 more)",
            f ->
                f.f32("base_model.model.model.norm.weight", 8)
                    .f32("base_model.model.score.weight", 2, 8)),
        bad(
            "tensor base_model.model.model.layers.0.self_attn.q_proj.bias is not used: trained biases"
                + " of the base (bias = 'all') are not served",
            f -> f.with("bias", "\"all\"").f32(Q0 + ".bias", 8)),
        bad(
            "tensor " + Q0 + ".lora_B.bias is not used: adapter_config.json does not say lora_bias",
            f -> f.f32(Q0 + ".lora_B.bias", 8)),
        bad(
            "tensor "
                + Q0
                + ".lora_magnitude_vector is not used: adapter_config.json does not say use_dora",
            f -> f.f32(Q0 + ".lora_magnitude_vector", 8)),
        bad(
            "layers.0.self_attn.q_proj has no lora_magnitude_vector tensor",
            f -> f.with("use_dora", "true")),
        bad(
            "tensor base_model.model.lm_head.weight is not used: adapter_config.json's modules_to_save"
                + " does not name its module",
            f -> f.f32("base_model.model.lm_head.weight", 10, 8)),
        bad(
            "lm_head weight is [11, 8], base model wants [10, 8]; was it trained on another base?",
            f ->
                f.with("modules_to_save", "[\"lm_head\"]")
                    .f32("base_model.model.lm_head.weight", 11, 8)),
        bad("lm_head has no weight tensor", f -> f.with("modules_to_save", "[\"lm_head\"]")));
  }

  static Stream<Arguments> values() {
    return Stream.of(
        bad(
            "tensor " + B0 + " has a NaN or an infinity at [3, 1]; did the training diverge?",
            f -> f.set(B0, 7, Float.NaN)),
        bad(
            "tensor " + A0 + " has a NaN or an infinity at [0, 0]; did the training diverge?",
            f -> f.set(A0, 0, Float.NEGATIVE_INFINITY)),
        bad(
            "tensor " + A0 + " has a NaN or an infinity at [1, 7]; did the training diverge?",
            f -> f.raw(A0, "BF16", bf16WithLastNan(16), 2, 8)),
        bad(
            "tensor " + A0 + " has type I32, wanted F32, F16 or BF16",
            f -> f.raw(A0, "I32", new byte[64], 2, 8)),
        bad(
            "tensors %s.lora_A.default.weight and %s are the same one; keep one adapter in the file"
                .formatted(Q0, A0),
            f -> f.f32(Q0 + ".lora_A.default.weight", 2, 8)));
  }

  private static byte[] bf16WithLastNan(int elements) {
    byte[] bytes = new byte[2 * elements];
    bytes[bytes.length - 1] = 0x7f;
    bytes[bytes.length - 2] = (byte) 0xc0;
    return bytes;
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource({
    "configs",
    "inits",
    "options",
    "targets",
    "tensors",
    "partners",
    "leftovers",
    "values"
  })
  void adapterIsRefusedWithThePreciseReason(String reason, UnaryOperator<AdapterFolder> spoil) {
    // Given
    Path adapter = spoil.apply(new AdapterFolder()).write(folder);
    // When
    var refused =
        assertThrows(AdapterException.class, () -> AdapterFolder.loader().load(LEGAL, adapter));
    // Then
    assertEquals(AdapterException.Code.INVALID_ADAPTER, refused.code());
    assertEquals("adapter 'legal': " + reason, refused.getMessage());
  }

  private String reasonOf(Path adapter) {
    return assertThrows(AdapterException.class, () -> AdapterFolder.loader().load(LEGAL, adapter))
        .getMessage();
  }

  @Test
  void pickledWeightsAreRefusedUnread() throws IOException {
    // Given
    new AdapterFolder().write(folder);
    Files.move(folder.resolve("adapter_model.safetensors"), folder.resolve("adapter_model.bin"));
    // When
    String reason = reasonOf(folder);
    // Then
    assertEquals(
        "adapter 'legal': its weights are pickled (adapter_model.bin), and reading a pickle can run"
            + " code; save them with PEFT as safetensors",
        reason);
  }

  @Test
  void shardedWeightsAreRefused() throws IOException {
    // Given
    new AdapterFolder().write(folder);
    Files.move(
        folder.resolve("adapter_model.safetensors"),
        folder.resolve("adapter_model-00001-of-00002.safetensors"));
    // When
    String reason = reasonOf(folder);
    // Then
    assertTrue(reason.contains("sharded (adapter_model-00001-of-00002.safetensors)"), reason);
  }

  @Test
  void folderWithoutAnAdapterSaysWhatItLacks() {
    assertEquals(
        "adapter 'legal': its folder has no adapter_config.json and no .gguf file",
        reasonOf(folder));
  }

  @Test
  void folderWithTwoGgufFilesAsksForOne() throws IOException {
    // Given
    Files.writeString(folder.resolve("a.gguf"), "GGUF");
    Files.writeString(folder.resolve("b.gguf"), "GGUF");
    // When
    String reason = reasonOf(folder);
    // Then
    assertEquals(
        "adapter 'legal': its folder has 2 .gguf files, wanted one; name the file", reason);
  }

  @Test
  void truncatedWeightsAreRefusedWithoutAServerPath() throws IOException {
    // Given
    new AdapterFolder().write(folder);
    Path weights = folder.resolve("adapter_model.safetensors");
    byte[] whole = Files.readAllBytes(weights);
    Files.write(weights, Arrays.copyOf(whole, whole.length - 8));
    // When
    String reason = reasonOf(folder);
    // Then
    assertTrue(reason.startsWith("adapter 'legal': adapter_model.safetensors: "), reason);
  }

  @Test
  void configThatIsNotJsonIsRefused() throws IOException {
    // Given
    new AdapterFolder().write(folder);
    Files.writeString(folder.resolve("adapter_config.json"), "{\"r\": 1,");
    // When
    String reason = reasonOf(folder);
    // Then
    assertTrue(reason.startsWith("adapter 'legal': adapter_config.json is not JSON: "), reason);
  }

  @Test
  void filesAboveTheLimitAreRefusedBeforeTheyAreRead() {
    // Given
    Path adapter = new AdapterFolder().write(folder);
    var loader = new AdapterLoader(AdapterFolder.SPEC, AdapterFolder.FINGERPRINT, 100);
    // When
    var refused = assertThrows(AdapterException.class, () -> loader.load(LEGAL, adapter));
    // Then
    assertTrue(
        refused
            .getMessage()
            .matches("adapter 'legal': its files take \\d+ bytes, at most 100 are allowed"),
        refused.getMessage());
  }

  @Test
  void configAboveOneMebibyteIsRefused() throws IOException {
    // Given
    new AdapterFolder().write(folder);
    Files.writeString(
        folder.resolve("adapter_config.json"), "{\"x\": \"" + "y".repeat(1 << 20) + "\"}");
    // When
    String reason = reasonOf(folder);
    // Then
    assertTrue(reason.contains("adapter_config.json takes 1048585 bytes"), reason);
  }
}
