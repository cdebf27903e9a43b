package io.chorale.app.train;

import io.chorale.app.UsageException;
import io.chorale.app.store.BaseModelStore;
import io.chorale.app.store.Progress;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.TrainOutcome;
import io.chorale.train.TrainRows;
import io.chorale.train.TrainSetup;
import io.chorale.train.Trainer;
import io.chorale.train.config.Flag;
import io.chorale.train.config.FlagValues;
import io.chorale.train.config.TrainOptions;
import io.chorale.train.data.SftEncoder;
import io.chorale.train.model.AdapterSpec;
import io.chorale.train.model.Compute;
import io.chorale.train.model.ComputeType;
import io.chorale.train.model.Parameter;
import io.chorale.train.model.TrainableCausalLm;
import io.chorale.train.optim.AdamW;
import io.chorale.train.optim.AdamW8bit;
import io.chorale.train.optim.Optimizer;
import io.chorale.train.optim.StateMemory;
import io.chorale.train.plan.DataShape;
import io.chorale.train.plan.MachineRate;
import io.chorale.train.plan.TrainPlan;
import io.chorale.train.save.InitAdapter;
import io.chorale.train.save.RunFolder;
import io.chorale.train.watch.run.RunWatch;
import io.chorale.train.watch.screen.RunScreen;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code chorale train}: data and a base in, an adapter out. */
@Command(
    name = "train",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    customSynopsis = "chorale train --data FILE --name NAME [FLAG]...",
    modelTransformer = TrainFlags.class,
    description = {
      "Train an adapter on a data file, on the 4-bit base that is served.",
      "All flags can stand in a YAML file too, by the same names."
    },
    footer = {
      "",
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C or SIGTERM after writing",
      "a checkpoint. docs/training.md has the rest."
    })
public final class TrainCommand implements Callable<Integer> {
  private static final int FINDINGS_SHOWN = 5; // of each kind

  @Spec CommandSpec spec;

  @Override
  public Integer call() throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    TrainOptions options = options();
    RunPlaces.check(options);
    Path path =
        BaseModelStore.ofUser(Optional.empty(), System.getenv(), Progress.onStandardError())
            .bring(options.base().model());
    try (OpenedModel base = OpenedModel.open(path, options)) {
      options = withInitAdapter(options, base);
      List<TrainRows> rows = rows(options, base, out);
      Optional<TrainRows> retained = retained(options, base, out);
      TrainPlan plan = plan(options, base, rows, retained, out);
      options = PlannedRun.adapted(options, plan);
      if (options.saving().dryRun()) {
        out.printf("dry run: %s is not trained%n", options.saving().name());
        out.flush();
        return 0;
      }
      return train(options, base, rows, retained, plan);
    }
  }

  private TrainOptions options() throws IOException {
    FlagValues values = TrainFlags.values(spec.commandLine().getParseResult());
    try {
      ComputeType usual = CpuFeatures.usual();
      TrainOptions options = TrainOptions.of(values);
      if (options.machine().compute().equals("auto")) {
        boolean cpu = options.machine().device().equals("cpu");
        String compute = cpu ? usual.name().toLowerCase(java.util.Locale.ROOT) : "bf16";
        options = TrainOptions.of(values.with(Map.of(Flag.COMPUTE, List.of(compute))));
        spec.commandLine()
            .getOut()
            .printf(
                "compute: %s (%s)%n",
                compute,
                cpu
                    ? CpuFeatures.bfloat16().map(isa -> "the CPU has " + isa).orElse("no bf16 here")
                    : "on CUDA");
      }
      return options;
    } catch (IllegalArgumentException e) {
      throw new UsageException(e.getMessage());
    }
  }

  /** An adapter that is trained on brings its own shape, which flags must not contradict. */
  private TrainOptions withInitAdapter(TrainOptions options, OpenedModel base) throws IOException {
    if (options.base().initAdapter().isEmpty()) {
      return options;
    }
    Path folder = options.base().initAdapter().get();
    Map<Flag, List<String>> given = TrainFlags.given(spec.commandLine().getParseResult());
    for (Flag flag : RunPlaces.ADAPTER_SHAPE) {
      if (given.containsKey(flag)) {
        throw new UsageException(
            "%s is given beside --init-adapter, which brings its own; leave it out"
                .formatted(flag.option()));
      }
    }
    try {
      AdapterSpec had =
          InitAdapter.spec(folder, options.adapter().dropout(), base.files().fingerprint());
      Map<Flag, List<String>> changed = new EnumMap<>(Flag.class);
      changed.put(Flag.METHOD, List.of(had.method().name().toLowerCase(java.util.Locale.ROOT)));
      changed.put(Flag.RANK, List.of(Integer.toString(had.rank())));
      changed.put(Flag.ALPHA, List.of(Float.toString(had.alpha())));
      changed.put(Flag.TARGET_MODULES, had.targetModules());
      changed.put(Flag.RANK_PATTERN, pairs(had.rankPattern()));
      changed.put(Flag.ALPHA_PATTERN, pairs(had.alphaPattern()));
      changed.put(Flag.MODULES_TO_SAVE, had.modulesToSave());
      return TrainOptions.of(options.values().with(changed));
    } catch (IllegalArgumentException e) {
      throw new UsageException(e.getMessage());
    }
  }

  private static List<String> pairs(Map<String, ?> pattern) {
    return pattern.entrySet().stream().map(e -> e.getKey() + "=" + e.getValue()).toList();
  }

  /** Training rows, then held-out ones if there are; what was found is printed. */
  private static List<TrainRows> rows(TrainOptions options, OpenedModel base, PrintWriter out)
      throws IOException {
    SftEncoder encoder;
    try {
      encoder = base.encoder(options);
    } catch (IllegalArgumentException e) {
      throw new UsageException(e.getMessage());
    }
    TrainOptions.Data data = options.data();
    TrainRows all = TrainRows.load(data.files(), data.format(), encoder);
    out.print(DataSummary.text(all, FINDINGS_SHOWN));
    List<TrainRows> rows = List.of(all);
    if (data.evalFile().isPresent()) {
      TrainRows held = TrainRows.load(List.of(data.evalFile().get()), data.format(), encoder);
      out.print("held out: " + DataSummary.text(held, FINDINGS_SHOWN));
      rows = List.of(all, held);
    } else if (data.evalSplit() > 0 && all.examples().size() > 1) {
      List<TrainRows> parts = all.split(data.evalSplit(), options.loop().seed());
      rows = List.of(parts.get(1), parts.get(0));
      out.printf("held out: %,d of the rows%n", parts.get(0).examples().size());
    }
    out.flush();
    rows.forEach(TrainCommand::requireSome);
    return rows;
  }

  /** The rows of --retain-data; what was found is printed. */
  private static Optional<TrainRows> retained(
      TrainOptions options, OpenedModel base, PrintWriter out) throws IOException {
    if (options.retain().isEmpty()) {
      return Optional.empty();
    }
    TrainRows rows =
        TrainRows.load(options.retain().get().files(), Optional.empty(), base.encoder(options));
    out.print("retained: " + DataSummary.text(rows, FINDINGS_SHOWN));
    out.flush();
    requireSome(rows);
    return Optional.of(rows);
  }

  private static void requireSome(TrainRows rows) {
    if (rows.examples().isEmpty()) {
      throw new UsageException(
          "%s: no row is left that could be used; chorale data check names every reason"
              .formatted(String.join(", ", rows.sha256().keySet())));
    }
  }

  /** The plan under --max-memory; printed. */
  private static TrainPlan plan(
      TrainOptions options,
      OpenedModel base,
      List<TrainRows> rows,
      Optional<TrainRows> retained,
      PrintWriter out) {
    Optional<TrainRows> heldOut = rows.stream().skip(1).findFirst();
    int bytes = PlannedRun.computeBytes(options);
    MachineRate rate =
        options.machine().device().equals("cpu")
            ? MachineRate.measure(bytes, threads(options))
            : MachineRate.assumed(bytes);
    DataShape data = PlannedRun.data(options, rows.get(0), heldOut, retained);
    TrainPlan plan = PlannedRun.of(options, base.files(), data, rate);
    TrainPlan chosen = PlannedRun.within(plan, options);
    out.print(chosen.text(PlannedRun.limitBytes(options)) + PlannedRun.changed(plan, chosen));
    out.flush();
    return chosen;
  }

  static int threads(TrainOptions options) {
    int asked = options.machine().threads();
    return asked > 0 ? asked : Runtime.getRuntime().availableProcessors();
  }

  private int train(
      TrainOptions options,
      OpenedModel base,
      List<TrainRows> rows,
      Optional<TrainRows> retained,
      TrainPlan plan)
      throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    TrainOptions.Machine machine = options.machine();
    Compute compute =
        new Compute(
            TorchDevice.parse(machine.device()),
            ComputeType.parse(machine.compute()),
            machine.checkpointing(),
            machine.lossChunk(),
            threads(options));
    PrintWriter err = spec.commandLine().getErr();
    try (RunFolder folder = RunFolder.open(options.saving().runDir(), options.saving().limit());
        TrainableCausalLm model =
            TrainableCausalLm.open(
                base.files(), options.adapter(), compute, options.loop().seed())) {
      RunPlaces.requireFresh(options, folder);
      if (options.base().initAdapter().isPresent()) {
        InitAdapter.load(options.base().initAdapter().get(), model.parameters());
      }
      printCounts(model, out);
      try (Optimizer optimizer = optimizer(options, model, folder);
          RunScreen screen = RunScreen.on(err, System.getenv());
          RunWatch watch =
              new RunWatch(
                  new RunWatch.Options(folder.folder(), true, RunPlaces.memoryBytes()),
                  screen,
                  err::println)) {
        TrainSetup setup =
            new TrainSetup(
                options,
                model,
                optimizer,
                rows.get(0),
                rows.stream().skip(1).findFirst(),
                retained,
                base.forTrainer(options),
                folder,
                watch,
                plan.peakBytes());
        Trainer trainer = new Trainer(setup);
        try (StopOnSignal stop = new StopOnSignal(trainer)) {
          TrainOutcome outcome = trainer.run();
          watch.close();
          screen.close();
          out.print(RunPlaces.summary(options, outcome));
          out.flush();
          return outcome.stopped() ? StopOnSignal.STOPPED : 0;
        }
      }
    }
  }

  private static void printCounts(TrainableCausalLm model, PrintWriter out) {
    long trained = model.parameters().stream().mapToLong(Parameter::elements).sum();
    out.printf(
        "trainable params: %,d || all params: %,d || trainable%%: %.4f%n",
        trained, model.totalParameters(), 100.0 * trained / model.totalParameters());
    out.flush();
  }

  private static Optimizer optimizer(
      TrainOptions options, TrainableCausalLm model, RunFolder folder) throws IOException {
    TrainOptions.Optimization how = options.optimization();
    StateMemory memory = how.paged() ? StateMemory.paged(folder.scratch()) : StateMemory.inRam();
    return how.eightBit()
        ? new AdamW8bit(model.parameters(), how.adam(), memory)
        : new AdamW(model.parameters(), how.adam(), memory);
  }
}
