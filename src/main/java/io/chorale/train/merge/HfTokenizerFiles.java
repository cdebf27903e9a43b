package io.chorale.train.merge;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.chorale.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * Everything beside config.json and weights: tokenizer, generation defaults, chat template; copied
 * from the base's folder, or rebuilt from GGUF metadata.
 */
final class HfTokenizerFiles {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String GGML = "tokenizer.ggml.";

  private HfTokenizerFiles() {}

  /** Copies small files that are neither weights nor config. */
  static void copy(Path base, Path out) throws IOException {
    try (Stream<Path> files = Files.list(base)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        String name = file.getFileName().toString();
        boolean text = name.matches(".*\\.(json|jinja|txt|model)|LICENSE.*|NOTICE.*");
        boolean other = name.matches("config\\.json|.*\\.index\\.json|adapter_.*|logits\\.json");
        if (text && !other) {
          Files.copy(file, out.resolve(name), StandardCopyOption.COPY_ATTRIBUTES);
        }
      }
    }
  }

  /** Writes what GGUF metadata says in transformers' files. */
  static void rebuild(Map<String, Object> gguf, Set<Integer> endIds, int positions, Path out)
      throws IOException {
    ObjectNode tokenizer = (ObjectNode) JSON.readTree(Tokenizer.jsonOfGguf(gguf));
    boolean addBos = addsBos(gguf) && gguf.get(GGML + "bos_token_id") instanceof Number;
    if (addBos) {
      prependBos(tokenizer, gguf);
    }
    Files.writeString(out.resolve("tokenizer.json"), tokenizer.toString());
    ObjectNode config = JSON.createObjectNode();
    config.put("tokenizer_class", "PreTrainedTokenizerFast");
    config.put("model_max_length", positions).put("clean_up_tokenization_spaces", false);
    config.put("add_bos_token", addBos);
    Map.of("bos", "bos", "eos", "eos", "unknown", "unk", "padding", "pad")
        .forEach(
            (key, name) -> {
              if (gguf.get(GGML + key + "_token_id") instanceof Number id) {
                config.put(name + "_token", token(gguf, id));
              }
            });
    Files.writeString(out.resolve("tokenizer_config.json"), config.toPrettyString());
    ObjectNode generation = JSON.createObjectNode();
    HfConfig.token(generation, "bos_token_id", gguf.get(GGML + "bos_token_id"));
    HfConfig.token(generation, "pad_token_id", gguf.get(GGML + "padding_token_id"));
    if (!endIds.isEmpty()) {
      var ends = generation.putArray("eos_token_id");
      new TreeSet<>(endIds).forEach(ends::add);
    }
    Files.writeString(out.resolve("generation_config.json"), generation.toPrettyString());
    if (gguf.get("tokenizer.chat_template") instanceof String template) {
      Files.writeString(out.resolve("chat_template.jinja"), template);
    }
  }

  /** As llama.cpp decides for a file that does not say. */
  private static boolean addsBos(Map<String, Object> gguf) {
    return gguf.get(GGML + "add_bos_token") instanceof Boolean said
        ? said
        : "llama".equals(gguf.get(GGML + "model")) || "llama-bpe".equals(gguf.get(GGML + "pre"));
  }

  private static String token(Map<String, Object> gguf, Number id) {
    return String.valueOf(((List<?>) gguf.get(GGML + "tokens")).get(id.intValue()));
  }

  private static void prependBos(ObjectNode tokenizer, Map<String, Object> gguf) {
    Number id = (Number) gguf.get(GGML + "bos_token_id");
    String bos = token(gguf, id);
    ObjectNode template = tokenizer.putObject("post_processor").put("type", "TemplateProcessing");
    for (String form : List.of("single", "pair")) {
      var parts = template.putArray(form);
      for (String sequence : form.equals("single") ? List.of("A") : List.of("A", "B")) {
        parts.addObject().putObject("SpecialToken").put("id", bos).put("type_id", 0);
        parts.addObject().putObject("Sequence").put("id", sequence).put("type_id", 0);
      }
    }
    ObjectNode special = template.putObject("special_tokens").putObject(bos);
    special.put("id", bos).putArray("ids").add(id.intValue());
    special.putArray("tokens").add(bos);
  }
}
