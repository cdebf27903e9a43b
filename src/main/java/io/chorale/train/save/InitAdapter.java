package io.chorale.train.save;

import io.chorale.format.PeftAdapterFiles;
import io.chorale.format.PeftAdapterFiles.Config;
import io.chorale.format.SafetensorsFiles;
import io.chorale.train.model.AdapterSpec;
import io.chorale.train.model.Parameter;
import io.chorale.train.model.TrainMethod;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An adapter from PEFT or from an earlier run, to train on. Stateless. */
public final class InitAdapter {
  private static final Pattern FACTOR =
      Pattern.compile("base_model\\.model\\.(.+)\\.(lora_A\\.weight|lora_embedding_A)");

  private InitAdapter() {}

  /**
   * What the adapter is; its modules are those that it has factors for.
   *
   * @param dropout to train on with
   * @throws IllegalArgumentException naming the option that cannot be trained on
   */
  public static AdapterSpec spec(Path folder, float dropout, String baseFingerprint)
      throws IOException {
    Config config =
        PeftAdapterFiles.config(Files.readAllBytes(folder.resolve(PeftAdapterFiles.CONFIG)));
    refuse(folder, config, baseFingerprint);
    TreeSet<String> modules = new TreeSet<>();
    try (SafetensorsFiles tensors =
        SafetensorsFiles.open(folder.resolve(PeftAdapterFiles.WEIGHTS))) {
      for (String name : tensors.names()) {
        Matcher factor = FACTOR.matcher(name);
        if (factor.matches()) {
          modules.add(factor.group(1));
        }
      }
    }
    Map<String, Float> alphas = new LinkedHashMap<>();
    config.alphaPattern().forEach((key, value) -> alphas.put(key, value.floatValue()));
    return new AdapterSpec(
        config.dora() ? TrainMethod.DORA : config.rslora() ? TrainMethod.RSLORA : TrainMethod.LORA,
        config.rank(),
        (float) config.alpha(),
        dropout,
        List.copyOf(modules),
        config.rankPattern(),
        alphas,
        config.modulesToSave());
  }

  private static void refuse(Path folder, Config config, String baseFingerprint) {
    if (config.dora() && config.rslora()) {
      throw wrong(folder, "use_dora and use_rslora", "one of them");
    }
    if (config.loraBias() || !config.bias().equals("none")) {
      throw wrong(folder, "a bias of its own", "bias none and lora_bias false");
    }
    if (!config.initLoraWeights().matches("true|gaussian|false")) {
      throw wrong(
          folder,
          "init_lora_weights " + config.initLoraWeights() + ", which changes the base",
          "an adapter of the unchanged base");
    }
    config
        .baseFingerprint()
        .filter(had -> !had.equals(baseFingerprint))
        .ifPresent(
            had -> {
              throw wrong(folder, "the base " + had, baseFingerprint);
            });
  }

  private static IllegalArgumentException wrong(Path folder, String had, String wanted) {
    return new IllegalArgumentException(
        "--init-adapter %s has %s, wanted %s".formatted(folder, had, wanted));
  }

  /** Reads its values into the parameters of a model of that spec. */
  public static void load(Path folder, List<Parameter> parameters) throws IOException {
    ParameterFile.read(folder.resolve(PeftAdapterFiles.WEIGHTS), parameters, true);
  }
}
