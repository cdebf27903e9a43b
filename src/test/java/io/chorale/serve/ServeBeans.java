package io.chorale.serve;

import io.chorale.adapter.AdapterLoader;
import io.chorale.adapter.AdapterRegistry;
import io.chorale.adapter.push.UploadStore;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.ModelSpec;
import io.chorale.model.Quantization;
import io.chorale.text.ChatPrompt;
import io.chorale.text.ChatTemplate;
import io.chorale.text.TemplateException;
import io.chorale.text.Tokenizer;
import jakarta.enterprise.inject.Alternative;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The server's parts for HTTP tests: a fake engine, a small tokenizer, the real registry. */
@Alternative
@Singleton
public class ServeBeans {
  public static final String BASE = "tiny-base";
  public static final String API_KEY = "sk-test-inference";
  public static final String ADMIN_KEY = "sk-test-admin";
  private static final Path GOLDEN = Path.of("src/test/resources/golden");

  @Produces
  @Singleton
  FakeEngine engine() {
    return new FakeEngine();
  }

  @Produces
  @Singleton
  AdapterRegistry adapters(FakeEngine engine) throws IOException {
    ModelSpec spec;
    try (BaseModelFiles files =
        BaseModelFiles.open(GOLDEN.resolve("models/llama"), Quantization.NONE)) {
      spec = files.spec();
    }
    return new AdapterRegistry(
        new AdapterLoader(spec, "tiny", AdapterLoader.DEFAULT_MAX_BYTES),
        BASE,
        List.of(GOLDEN.resolve("adapters")),
        Files.createTempDirectory("chorale-serve-test"),
        engine::retire);
  }

  @Produces
  @Singleton
  UploadStore uploads() {
    return new UploadStore(null, 0);
  }

  @Produces
  @Singleton
  ServedModel model() throws TemplateException {
    Tokenizer tokenizer = tokenizer();
    ChatTemplate template =
        ChatTemplate.parse(
            "{% for m in messages %}"
                + "{% if m.content == 'RAISE' %}{{ raise_exception('no raising here') }}{% endif %}"
                + "{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
                + "{% endfor %}"
                + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}");
    return new ServedModel(
        BASE,
        "0123456789abcdef",
        1_700_000_000,
        tokenizer,
        new ChatPrompt(tokenizer, template, Map.of()),
        Set.of(tokenizer.tokenId("<|im_end|>").orElseThrow()),
        false,
        -1,
        FakeEngine.CONTEXT);
  }

  @Produces
  @Singleton
  ServeAccess access() {
    return new ServeAccess(List.of(API_KEY), Optional.of(ADMIN_KEY));
  }

  public static Tokenizer tokenizer() {
    return Tokenizer.fromJson(GOLDEN.resolve("tokenizer/qwen2-style.json"));
  }
}
