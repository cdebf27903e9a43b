package io.chorale.train;

import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.config.Flag;
import io.chorale.train.config.FlagValues;
import io.chorale.train.config.TrainOptions;
import io.chorale.train.data.SftExample;
import io.chorale.train.model.Compute;
import io.chorale.train.model.ComputeType;
import io.chorale.train.model.TrainableCausalLm;
import io.chorale.train.optim.AdamW;
import io.chorale.train.optim.AdamW8bit;
import io.chorale.train.optim.Optimizer;
import io.chorale.train.optim.StateMemory;
import io.chorale.train.save.InitAdapter;
import io.chorale.train.save.RunFacts;
import io.chorale.train.save.RunFolder;
import io.chorale.train.watch.TrainEvent;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/** A training run of the tiny model, whose tokens are bytes, without a command around it. */
final class TinyRun implements AutoCloseable {
  static final Path MODELS = Path.of("src/test/resources/golden/models");
  static final Compute COMPUTE = new Compute(TorchDevice.CPU, ComputeType.F32, false, 64, 1);

  final TrainOptions options;
  final BaseModelFiles files;
  final TrainableCausalLm model;
  final Optimizer optimizer;
  final RunFolder folder;
  final TrainRows rows;
  final List<TrainEvent> events = new ArrayList<>();
  final Trainer trainer;

  /** Flags of a short run in a folder; later pairs win. */
  static Map<Flag, List<String>> flags(Path folder, String... keysAndValues) {
    Map<Flag, List<String>> flags = new EnumMap<>(Flag.class);
    flags.put(Flag.DATA, List.of("tiny.jsonl"));
    flags.put(Flag.NAME, List.of("tiny"));
    flags.put(Flag.OUT, List.of(folder.resolve("out").toString()));
    flags.put(Flag.RUN_DIR, List.of(folder.resolve("run").toString()));
    flags.put(Flag.RANK, List.of("4"));
    flags.put(Flag.COMPUTE, List.of("f32"));
    flags.put(Flag.MAX_STEPS, List.of("6"));
    flags.put(Flag.BATCH_SIZE, List.of("2"));
    flags.put(Flag.GRAD_ACCUM, List.of("2"));
    flags.put(Flag.SAMPLES, List.of("0"));
    for (int i = 0; i < keysAndValues.length; i += 2) {
      flags.put(Flag.ofKey(keysAndValues[i]), List.of(keysAndValues[i + 1]));
    }
    return flags;
  }

  /** Rows of {@code count} texts; the first few bytes of each are not trained on. */
  static TrainRows rows(int count) {
    return rows(count, "tiny.jsonl", i -> "row " + i + " says " + 7 * i * i);
  }

  /** Rows of {@code --retain-data}; only they have the letter Z. */
  private static TrainRows retained() {
    return rows(7, "kept.jsonl", i -> "Z was " + i + " before");
  }

  private static TrainRows rows(int count, String file, IntFunction<String> text) {
    List<SftExample> examples =
        IntStream.range(0, count).mapToObj(i -> row(text.apply(i))).toList();
    List<String> sources = IntStream.range(0, count).mapToObj(i -> file + ":" + (i + 1)).toList();
    return new TrainRows(
        examples, sources, List.of(), List.of(), count, Map.of(file, "hash" + count));
  }

  private static SftExample row(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int[] ids = new int[bytes.length + 1];
    int[] labels = new int[ids.length];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = i < bytes.length ? bytes[i] : 258;
      labels[i] = i < 5 + bytes.length % 4 ? SftExample.IGNORE_INDEX : ids[i];
    }
    return new SftExample(ids, labels, ids.length, -1);
  }

  static TinyRun open(Path folder, String... keysAndValues) throws IOException {
    return new TinyRun(flags(folder, keysAndValues), rows(18), Optional.empty(), e -> {});
  }

  TinyRun(
      Map<Flag, List<String>> flags,
      TrainRows rows,
      Optional<TrainRows> heldOut,
      Consumer<TrainEvent> listener)
      throws IOException {
    TrainOptions asked = TrainOptions.of(FlagValues.of(flags, Map.of()));
    options = asked;
    this.rows = rows;
    Path base = MODELS.resolve(options.base().model().orElse("llama"));
    files = BaseModelFiles.open(base, Quantization.NONE);
    model = TrainableCausalLm.open(files, options.adapter(), COMPUTE, options.loop().seed());
    if (options.base().initAdapter().isPresent()) {
      InitAdapter.load(options.base().initAdapter().get(), model.parameters());
    }
    folder = RunFolder.open(options.saving().runDir(), options.saving().limit());
    TrainOptions.Optimization how = options.optimization();
    StateMemory memory = how.paged() ? StateMemory.paged(folder.scratch()) : StateMemory.inRam();
    optimizer =
        how.eightBit()
            ? new AdamW8bit(model.parameters(), how.adam(), memory)
            : new AdamW(model.parameters(), how.adam(), memory);
    TrainSetup setup =
        new TrainSetup(
            options,
            model,
            optimizer,
            rows,
            heldOut,
            options.retain().map(retain -> retained()),
            new TrainSetup.Over(
                new RunFacts.BaseFacts(
                    "llama", files.fingerprint(), "F32", "none", "chat-template"),
                base,
                files.spec().layers(),
                new int[] {104, 101, 108, 108, 111},
                Set.of(258),
                TinyRun::text),
            folder,
            event -> {
              events.add(event);
              listener.accept(event);
            },
            0);
    trainer = new Trainer(setup);
  }

  private static String text(int[] ids) {
    StringBuilder text = new StringBuilder();
    for (int id : ids) {
      text.append(id < 256 ? (char) id : '|');
    }
    return text.toString();
  }

  <E extends TrainEvent> List<E> events(Class<E> kind) {
    return events.stream().filter(kind::isInstance).map(kind::cast).toList();
  }

  @Override
  public void close() throws IOException {
    optimizer.close();
    model.close();
    folder.close();
    files.close();
  }
}
