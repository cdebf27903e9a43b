package io.chorale.app.train;

import io.chorale.app.UsageException;
import io.chorale.app.store.BaseModelStore;
import io.chorale.app.store.Progress;
import io.chorale.train.TrainRows;
import io.chorale.train.config.Flag;
import io.chorale.train.config.FlagValues;
import io.chorale.train.config.TrainOptions;
import io.chorale.train.plan.DataShape;
import io.chorale.train.plan.MachineRate;
import io.chorale.train.plan.SizeTable;
import io.chorale.train.plan.TrainPlan;
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
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code chorale plan}: what a training run would take, before it takes it. */
@Command(
    name = "plan",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    modelTransformer = TrainFlags.class,
    description = {
      "Predict memory, steps and time of a training run before weights are loaded.",
      "Takes the flags of train. Without --data, 1000 rows of --max-seq-length tokens are assumed."
    },
    footer = {"", "Exit codes: 0 it fits, 1 failed, 2 wrong usage or over --max-memory."})
public final class PlanCommand implements Callable<Integer> {
  private static final int ASSUMED_ROWS = 1000;

  @Spec CommandSpec spec;

  @Option(
      names = "--params",
      paramLabel = "SIZE",
      description = "Only the table of a model of so many parameters: 360M, 7B, ...")
  String params;

  @Option(
      names = "--measure",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description = "Measure this machine's speed first (3 s); --no-measure assumes one.")
  boolean measure;

  @Override
  public Integer call() throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    if (params != null) {
      try {
        out.print(SizeTable.of(params));
      } catch (IllegalArgumentException e) {
        throw new UsageException("--params: " + e.getMessage());
      }
      out.flush();
      return 0;
    }
    TrainOptions options = options();
    long limitBytes = PlannedRun.limitBytes(options);
    Path path =
        BaseModelStore.ofUser(Optional.empty(), System.getenv(), Progress.onStandardError())
            .bring(options.base().model());
    try (OpenedModel base = OpenedModel.open(path, options)) {
      DataShape data = data(options, base);
      int bytes = PlannedRun.computeBytes(options);
      MachineRate rate =
          measure
              ? MachineRate.measure(bytes, TrainCommand.threads(options))
              : MachineRate.assumed(bytes);
      TrainPlan plan = PlannedRun.of(options, base.files(), data, rate);
      TrainPlan chosen = PlannedRun.within(plan, options);
      out.print(chosen.text(limitBytes));
      out.print(PlannedRun.changed(plan, chosen));
      out.flush();
      return 0;
    }
  }

  /** A plan needs no name and can do without data. */
  private TrainOptions options() throws IOException {
    FlagValues values = TrainFlags.values(spec.commandLine().getParseResult());
    Map<Flag, List<String>> filled = new EnumMap<>(Flag.class);
    if (values.all(Flag.NAME).isEmpty()) {
      filled.put(Flag.NAME, List.of("plan"));
    }
    if (values.all(Flag.DATA).isEmpty()) {
      filled.put(Flag.DATA, List.of("none"));
    }
    try {
      return TrainOptions.of(values.with(filled));
    } catch (IllegalArgumentException e) {
      throw new UsageException(e.getMessage());
    }
  }

  private DataShape data(TrainOptions options, OpenedModel base) throws IOException {
    if (options.data().files().equals(List.of(Path.of("none")))) {
      return DataShape.full(ASSUMED_ROWS, options.data().maxSeqLength());
    }
    try {
      TrainRows rows =
          TrainRows.load(options.data().files(), options.data().format(), base.encoder(options));
      Optional<TrainRows> retained = Optional.empty();
      if (options.retain().isPresent()) {
        List<Path> files = options.retain().get().files();
        retained = Optional.of(TrainRows.load(files, Optional.empty(), base.encoder(options)));
      }
      return PlannedRun.data(options, rows, Optional.empty(), retained);
    } catch (IllegalArgumentException e) {
      throw new UsageException(e.getMessage());
    }
  }
}
