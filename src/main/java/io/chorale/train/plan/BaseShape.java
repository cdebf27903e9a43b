package io.chorale.train.plan;

import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.ModelSpec;
import java.util.Locale;

/**
 * Sizes of a base.
 *
 * @param qWidth of all query heads together
 * @param kvWidth of all key heads together
 * @param file how linear layers lie in the file
 * @param linear how they are kept in memory
 * @param embedding how embedding and head are, in both
 */
public record BaseShape(
    String name,
    int layers,
    int hidden,
    int intermediate,
    int heads,
    int qWidth,
    int kvWidth,
    int vocab,
    boolean tiedHead,
    boolean qkNorm,
    BaseForm file,
    BaseForm linear,
    BaseForm embedding) {

  /**
   * Of opened files; reads no weights.
   *
   * @param quantization what float layers are put into, {@code as-is} or {@code none} for nothing
   */
  public static BaseShape of(BaseModelFiles files, String quantization) {
    BaseForm linear = BaseForm.parse(files.linear(new ModuleId(0, LoraTarget.K_PROJ)).formatName());
    BaseForm embedding =
        BaseForm.parse(files.linear(ModuleId.of(LoraTarget.EMBED_TOKENS)).formatName());
    boolean stays = quantization.equals("as-is") || quantization.equals("none");
    if (stays || !embedding.isFloat()) {
      return of(files.spec(), linear, linear, embedding);
    }
    // Only float files are quantized, and embeddings never are, so theirs is the file's form.
    BaseForm wanted = BaseForm.parse(quantization);
    boolean quantizes = linear.isFloat() || linear == wanted;
    return of(files.spec(), quantizes ? embedding : linear, quantizes ? wanted : linear, embedding);
  }

  /** Of a spec and the forms its weights have. */
  public static BaseShape of(ModelSpec s, BaseForm file, BaseForm linear, BaseForm embedding) {
    return new BaseShape(
        s.name(),
        s.layers(),
        s.hidden(),
        s.intermediate(),
        s.heads(),
        s.qWidth(),
        s.kvWidth(),
        s.vocab(),
        s.tiedHead(),
        s.qkNorm(),
        file,
        linear,
        embedding);
  }

  /** Llama-like models by size: billions of parameters, layers, hidden, intermediate, heads, kv. */
  private static final double[][] KNOWN = {
    {0.135, 30, 576, 1536, 9, 3, 49152},
    {0.362, 32, 960, 2560, 15, 5, 49152},
    {0.494, 24, 896, 4864, 14, 2, 151936},
    {1.1, 22, 2048, 5632, 32, 4, 32000},
    {1.711, 24, 2048, 8192, 32, 32, 49152},
    {3.2, 28, 3072, 8192, 24, 8, 128256},
    {6.74, 32, 4096, 11008, 32, 32, 32000},
    {8.03, 32, 4096, 14336, 32, 8, 128256},
    {13.0, 40, 5120, 13824, 40, 40, 32000},
    {34.0, 48, 8192, 22016, 64, 8, 32000},
    {70.6, 80, 8192, 28672, 64, 8, 128256},
  };

  /**
   * A model of about so many parameters, in the shape of the nearest one that is known, its widths
   * scaled.
   *
   * @param parameters such as {@code 7B}, {@code 360M}, {@code 1.7b}
   * @throws IllegalArgumentException if that is no size
   */
  public static BaseShape ofParameters(String parameters, BaseForm file, BaseForm linear) {
    double wanted = billions(parameters);
    double[] nearest = KNOWN[0];
    for (double[] model : KNOWN) {
      if (Math.abs(Math.log(model[0] / wanted)) < Math.abs(Math.log(nearest[0] / wanted))) {
        nearest = model;
      }
    }
    double grow = Math.sqrt(wanted / nearest[0]);
    int headDim = (int) (nearest[2] / nearest[4]);
    int heads = Math.max(1, (int) Math.round(nearest[4] * grow));
    int kvHeads = Math.max(1, (int) Math.round(nearest[5] * grow));
    return new BaseShape(
        parameters.trim().toUpperCase(Locale.ROOT) + " model",
        (int) nearest[1],
        heads * headDim,
        64 * (int) Math.max(1, Math.round(nearest[3] * grow / 64)),
        heads,
        heads * headDim,
        kvHeads * headDim,
        (int) nearest[6],
        wanted < 3.5,
        false,
        file,
        linear,
        file.isFloat() ? file : BaseForm.Q8_0);
  }

  private static double billions(String text) {
    String size = text.trim().toLowerCase(Locale.ROOT);
    if (!size.matches("[0-9]+(\\.[0-9]+)?[mb]")) {
      throw new IllegalArgumentException(
          "parameters '%s', wanted a number with M or B, such as 360M or 7B".formatted(text));
    }
    double number = Double.parseDouble(size.substring(0, size.length() - 1));
    double billions = size.endsWith("m") ? number / 1000 : number;
    if (!(billions >= 0.001 && billions <= 2000)) {
      throw new IllegalArgumentException("parameters '%s', wanted 1M to 2000B".formatted(text));
    }
    return billions;
  }

  int inputs(LoraTarget target) {
    return switch (target) {
      case Q_PROJ, K_PROJ, V_PROJ, GATE_PROJ, UP_PROJ, LM_HEAD -> hidden;
      case O_PROJ -> qWidth;
      case DOWN_PROJ -> intermediate;
      case EMBED_TOKENS -> vocab;
    };
  }

  int outputs(LoraTarget target) {
    return switch (target) {
      case Q_PROJ -> qWidth;
      case K_PROJ, V_PROJ -> kvWidth;
      case O_PROJ, DOWN_PROJ, EMBED_TOKENS -> hidden;
      case GATE_PROJ, UP_PROJ -> intermediate;
      case LM_HEAD -> vocab;
    };
  }

  /** Weights of the linear layers. */
  long linearWeights() {
    return layers * (2L * hidden * (qWidth + kvWidth) + 3L * hidden * intermediate);
  }

  /** Weights of embedding and head; a tied head counts once. */
  long embeddingWeights() {
    return (tiedHead ? 1L : 2L) * vocab * hidden;
  }

  long parameters() {
    return linearWeights() + embeddingWeights() + (2L * layers + 1) * hidden;
  }

  /** The same base with its linear layers in another form. */
  BaseShape in(BaseForm form) {
    return new BaseShape(
        name,
        layers,
        hidden,
        intermediate,
        heads,
        qWidth,
        kvWidth,
        vocab,
        tiedHead,
        qkNorm,
        file,
        form,
        embedding);
  }
}
