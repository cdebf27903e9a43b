package io.chorale.app.train;

import io.chorale.app.BaseModel;
import io.chorale.app.UsageException;
import io.chorale.app.store.BaseModelStore;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.ModuleId;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.train.TrainSetup;
import io.chorale.train.config.TrainOptions;
import io.chorale.train.data.SftEncoder;
import io.chorale.train.model.TrainMethod;
import io.chorale.train.save.RunFacts;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * The base that a run trains over, as its files are.
 *
 * @param text its tokenizer and template
 */
record OpenedModel(Path path, BaseModelFiles files, BaseModel text) implements AutoCloseable {
  /** Asked of every adapter, so that one server can be compared with another. */
  private static final String CANARY = "The first thing to know about a contract is that";

  /**
   * @throws UsageException if the base cannot be trained on as asked
   */
  static OpenedModel open(Path path, TrainOptions options) throws IOException {
    String wanted = options.base().quantization();
    Quantization quantization =
        wanted.equals("as-is") ? Quantization.NONE : Quantization.parse(wanted);
    BaseModelFiles files = BaseModelFiles.open(path, quantization);
    try {
      check(path, files, options);
      return new OpenedModel(path, files, BaseModel.of(files));
    } catch (RuntimeException e) {
      files.close();
      throw e;
    }
  }

  private static void check(Path path, BaseModelFiles files, TrainOptions options) {
    String had = weights(files);
    boolean isFloat = had.matches("F32|F16|BF16");
    String wanted = options.base().quantization();
    if (wanted.equals("none") && !isFloat) {
      throw new UsageException(
          "--base-quantization is none, and %s is %s; wanted a base in F32, F16 or BF16, or as-is"
              .formatted(path, had));
    }
    boolean quantizes = !wanted.equals("none") && !wanted.equals("as-is");
    if (quantizes && isFloat) {
      throw new UsageException(
          "--base-quantization is %s, and %s stays %s; choose none".formatted(wanted, path, had));
    }
    boolean asked =
        switch (wanted) {
          case "nf4", "nf4-dq" -> had.startsWith("NF4");
          case "q4" -> had.equals("Q4_1");
          default -> true;
        };
    if (!asked) {
      throw new UsageException(
          "--base-quantization is %s, and %s is %s already; wanted a float base, or as-is"
              .formatted(wanted, path, had));
    }
    if (options.adapter().method() == TrainMethod.FULL
        && (!isFloat || !Files.exists(path.resolve("config.json")))) {
      throw new UsageException(
          "--method is full, and %s is %s; wanted a Hugging Face folder in F32, F16 or BF16"
              .formatted(path, had));
    }
  }

  /** The format of the linear layers in memory. */
  private static String weights(BaseModelFiles files) {
    return files.linear(new ModuleId(0, LoraTarget.Q_PROJ)).formatName();
  }

  SftEncoder encoder(TrainOptions options) {
    SftEncoder.Source source =
        new SftEncoder.Source(
            text.tokenizer(),
            text.chatPrompt(),
            files.spec().endTokenIds(),
            text.addBos(),
            text.bosTokenId());
    return new SftEncoder(source, options.data().promptForm(), options.data().maxSeqLength());
  }

  /** What the trainer has to know. */
  TrainSetup.Over forTrainer(TrainOptions options) {
    return new TrainSetup.Over(
        new RunFacts.BaseFacts(
            name(options.base()),
            files.fingerprint(),
            weights(files),
            files.chatTemplate().map(OpenedModel::sha256).orElse(""),
            options.data().promptForm().label()),
        path,
        files.spec().layers(),
        canaryPrompt(),
        files.spec().endTokenIds(),
        ids -> text.tokenizer().decode(ids, false));
  }

  /** As asked; else the hub id it came by; else what the file or the folder says. */
  private String name(TrainOptions.Baseline base) {
    if (base.name().isPresent()) {
      return base.name().get();
    }
    String model = base.model().orElse(BaseModelStore.DEFAULT_MODEL_ID);
    return Files.exists(Path.of(model)) ? files.spec().name() : model;
  }

  private int[] canaryPrompt() {
    int[] ids = text.tokenizer().encode(CANARY, false);
    if (!text.addBos()) {
      return ids;
    }
    int[] withBos = new int[ids.length + 1];
    withBos[0] = text.bosTokenId();
    System.arraycopy(ids, 0, withBos, 1, ids.length);
    return withBos;
  }

  private static String sha256(String text) {
    try {
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  @Override
  public void close() {
    files.close();
  }
}
