package io.chorale.train.save;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.chorale.format.PeftAdapterFiles;
import io.chorale.train.model.Parameter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The result of a run: for adapters a PEFT folder, for full fine-tuning a Hugging Face folder; each
 * with {@code chorale.json} (facts for programs), {@code chorale-config.yaml} (the run's flags, for
 * --config) and a README. Appears whole or not at all.
 */
public final class AdapterFolder {
  public static final String FACTS = "chorale.json";
  public static final String FLAGS = "chorale-config.yaml";

  private static final List<String> BASE_FILES =
      List.of(
          "generation_config.json",
          "tokenizer.json",
          "tokenizer_config.json",
          "special_tokens_map.json",
          "added_tokens.json",
          "vocab.json",
          "merges.txt",
          "tokenizer.model",
          "chat_template.jinja");

  private AdapterFolder() {}

  /**
   * @param adapterConfig text of {@code adapter_config.json}; empty for full fine-tuning
   * @param baseFolder where full fine-tuning takes config and tokenizer from
   * @param yaml text of {@link #FLAGS}
   */
  public record Contents(
      List<Parameter> parameters,
      boolean half,
      String adapterConfig,
      Path baseFolder,
      RunFacts facts,
      String yaml) {}

  /** Writes the folder in place of what is there. */
  public static void write(Path out, Contents contents) throws IOException {
    try (AtomicFolder output = new AtomicFolder(out)) {
      Path folder = output.path();
      if (contents.adapterConfig().isEmpty()) {
        copyBase(contents.baseFolder(), folder, contents.half());
        ParameterFile.write(
            folder.resolve("model.safetensors"), contents.parameters(), contents.half());
      } else {
        Files.writeString(folder.resolve(PeftAdapterFiles.CONFIG), contents.adapterConfig());
        ParameterFile.write(
            folder.resolve(PeftAdapterFiles.WEIGHTS), contents.parameters(), contents.half());
      }
      Files.writeString(folder.resolve(FACTS), json(contents.facts()));
      Files.writeString(folder.resolve(FLAGS), contents.yaml());
      Files.writeString(folder.resolve("README.md"), AdapterCard.text(contents.facts()));
      output.publish();
    }
  }

  private static String json(RunFacts facts) {
    try {
      return new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValueAsString(facts)
          + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("plain values can be written", e);
    }
  }

  private static void copyBase(Path from, Path to, boolean half) throws IOException {
    JsonNode config = new ObjectMapper().readTree(from.resolve("config.json").toFile());
    ObjectNode changed = config.deepCopy();
    changed.remove("torch_dtype");
    changed.put("dtype", half ? "float16" : "float32");
    Files.writeString(to.resolve("config.json"), changed.toPrettyString() + "\n");
    for (String name : BASE_FILES) {
      if (Files.exists(from.resolve(name))) {
        Files.copy(from.resolve(name), to.resolve(name));
      }
    }
  }
}
