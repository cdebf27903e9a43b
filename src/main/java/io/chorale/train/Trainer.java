package io.chorale.train;

import io.chorale.train.config.TrainOptions;
import io.chorale.train.model.PackedBatch;
import io.chorale.train.model.Parameter;
import io.chorale.train.model.TrainMethod;
import io.chorale.train.model.TrainableCausalLm;
import io.chorale.train.optim.Gradients;
import io.chorale.train.optim.LrSchedule;
import io.chorale.train.optim.Optimizer;
import io.chorale.train.rounding.MergedRounding;
import io.chorale.train.save.AdapterConfigJson;
import io.chorale.train.save.AdapterFolder;
import io.chorale.train.save.Canary;
import io.chorale.train.save.RunFacts;
import io.chorale.train.save.RunFolder;
import io.chorale.train.save.RunState;
import io.chorale.train.watch.TrainEvent;
import io.chorale.train.watch.TrainListener;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * One training run. A run that was killed and resumed gives the bits of one that was not: order,
 * dropout and learning rate follow from the seed and the step, everything else is in the
 * checkpoint. Use once. One thread, apart from {@link #requestStop}.
 */
public final class Trainer {
  private final TrainSetup setup;
  private final TrainOptions options;
  private final TrainableCausalLm model;
  private final Optimizer optimizer;
  private final RunFolder folder;
  private final TrainListener listener;
  private final Batches batches;
  private final Optional<RetainSet> retained;
  private final StepGradients gradients;
  private final SampleAnswers samples;
  private final LrSchedule schedule;
  private final int totalSteps;
  private final String adapterConfig;
  private List<Float> untrained = List.of();
  private volatile boolean stopRequested;

  /**
   * @throws IllegalArgumentException if no row is left to train on
   */
  public Trainer(TrainSetup setup) {
    this.setup = setup;
    this.options = setup.options();
    this.model = setup.model();
    this.optimizer = setup.optimizer();
    this.folder = setup.folder();
    this.listener = setup.listener();
    this.batches = batches(options, setup.rows());
    this.retained = setup.retained().map(rows -> new RetainSet(model, rows, options));
    this.gradients =
        new StepGradients(model, setup.rows().examples(), retained, options.loop().seed());
    this.samples =
        new SampleAnswers(model, setup.heldOut().orElse(setup.rows()).examples(), setup.base());
    this.totalSteps = steps(options, batches);
    TrainOptions.Optimization how = options.optimization();
    this.schedule = LrSchedule.of(how.schedule(), how.lr(), how.warmup(), totalSteps);
    this.adapterConfig =
        options.adapter().method() == TrainMethod.FULL
            ? ""
            : AdapterConfigJson.of(
                model,
                setup.base().layers(),
                setup.base().facts().name(),
                setup.base().facts().fingerprint());
  }

  /** How a run puts its rows together. */
  public static Batches batches(TrainOptions options, TrainRows rows) {
    TrainOptions.Loop loop = options.loop();
    return new Batches(
        rows.examples(),
        new Batches.Shape(
            loop.batchSize(),
            loop.gradAccum(),
            options.data().packing(),
            options.data().maxSeqLength(),
            loop.seed()));
  }

  /** Optimizer steps of a run. */
  public static int steps(TrainOptions options, Batches batches) {
    int most = options.loop().maxSteps();
    return most > 0 ? most : batches.stepsOf(options.loop().epochs());
  }

  public int totalSteps() {
    return totalSteps;
  }

  /** Ends the run after the step under way, with a checkpoint. Any thread. */
  public void requestStop() {
    stopRequested = true;
  }

  /**
   * Trains to the end, or until a stop is asked for.
   *
   * @throws TrainFailure if a loss or gradient is not finite; the last checkpoint stays
   * @throws IOException if something cannot be written
   * @throws IllegalArgumentException if a checkpoint is of another configuration
   */
  public TrainOutcome run() throws IOException {
    RunState at = begin();
    while (at.step() < totalSteps && !enough(at)) {
      long started = System.nanoTime();
      List<PackedBatch> window = batches.step(at.epoch(), at.index());
      StepGradients.Result step = gradients.compute(window, at.step());
      if (!step.finite()) {
        throw notFinite(at, step, window);
      }
      double lr = schedule.at(at.step());
      optimizer.step(lr, Gradients.clipFactor(step.norm(), options.optimization().maxGradNorm()));
      model.zeroGrads();

      int stepsInEpoch = batches.steps(at.epoch());
      boolean epochEnds = at.index() + 1 == stepsInEpoch;
      double seconds = (System.nanoTime() - started) / 1e9;
      double epoch = at.epoch() + (at.index() + 1.0) / stepsInEpoch;
      at = at.next(stepsInEpoch, step.tokens(), step.trained(), seconds, step.loss());
      tell(at, epoch, lr, step, seconds);

      boolean last = at.step() == totalSteps;
      boolean stopping = stopRequested && !last;
      if (setup.heldOut().isPresent()
          && (last || options.loop().evalEvery().due(at.step(), epochEnds))) {
        at = evaluate(at, epoch);
      }
      if (last || stopping || options.saving().every().due(at.step(), epochEnds)) {
        Path checkpoint = save(at);
        if (stopping) {
          finished(at, "stopped", checkpoint);
          return new TrainOutcome(at, "stopped", Optional.of(checkpoint), Optional.empty());
        }
      }
    }
    return finish(at);
  }

  /** Loads the checkpoint, if there is one to go on from, and tells what begins. */
  private RunState begin() throws IOException {
    model.zeroGrads();
    if (options.base().initAdapter().isEmpty()) {
      untrained = Canary.score(model, setup.base().canaryPrompt());
    }
    Optional<Path> checkpoint =
        options.saving().resume().isPresent()
            ? folder.find(options.saving().resume().get())
            : Optional.empty();
    RunState at =
        checkpoint.isEmpty()
            ? RunState.START
            : folder.load(checkpoint.get(), parameters(), optimizer, identity());
    listener.on(
        new TrainEvent.Started(
            options.saving().name(),
            options.values().asText(),
            dataFacts(),
            parameters().stream().mapToLong(Parameter::elements).sum(),
            model.totalParameters(),
            totalSteps,
            at.step(),
            setup.plannedPeakBytes()));
    if (at.step() == 0) {
      if (setup.heldOut().isPresent()) {
        long started = System.nanoTime();
        double loss = heldOutLoss(setup.heldOut().get());
        at = at.startingFrom(loss);
        listener.on(new TrainEvent.Evaluated(0, 0, loss, false, ms(started)));
      }
      samples.answer("before", options.loop().samples()).forEach(listener::on);
    }
    return at;
  }

  private List<Parameter> parameters() {
    return model.parameters();
  }

  private boolean enough(RunState at) {
    int patience = options.loop().earlyStopping();
    return patience > 0 && at.sinceBest() >= patience;
  }

  private TrainFailure notFinite(RunState at, StepGradients.Result step, List<PackedBatch> window)
      throws IOException {
    boolean diverged = Double.isFinite(step.loss()) && !Double.isFinite(step.divergence());
    String what =
        diverged ? "divergence from the base" : Double.isFinite(step.loss()) ? "gradient" : "loss";
    List<String> sources =
        diverged
            ? retained.orElseThrow().sources(at.step())
            : Arrays.stream(gradients.culprits(window, at.step()))
                .mapToObj(row -> setup.rows().sources().get(row))
                .toList();
    listener.on(new TrainEvent.NotFinite(at.step() + 1, what, sources));
    Optional<Path> kept = folder.find("auto");
    String message =
        "step %d: the %s is not a finite number, from %s; %s. Look at those rows, or use a lower --lr"
            .formatted(
                at.step() + 1,
                what,
                String.join(", ", sources),
                kept.map(c -> "the last checkpoint is " + c).orElse("there is no checkpoint yet"));
    finished(at, message, folder.folder());
    return new TrainFailure(message);
  }

  private void tell(
      RunState at, double epoch, double lr, StepGradients.Result step, double seconds) {
    if (retained.isPresent()) {
      listener.on(new TrainEvent.Retained(at.step(), step.divergence()));
    }
    listener.on(
        new TrainEvent.Step(
            at.step(),
            epoch,
            step.loss(),
            lr,
            step.norm(),
            step.tokens(),
            step.trained(),
            1000 * seconds,
            ProcessMemory.residentBytes()));
  }

  private RunState evaluate(RunState at, double epoch) throws IOException {
    long started = System.nanoTime();
    double loss = heldOutLoss(setup.heldOut().orElseThrow());
    boolean best = at.better(loss);
    if (best) {
      folder.saveBest(parameters(), adapterConfig);
    }
    listener.on(new TrainEvent.Evaluated(at.step(), epoch, loss, best, ms(started)));
    return at.evaluated(loss);
  }

  /** Mean over all trained tokens. */
  private double heldOutLoss(TrainRows rows) {
    double sum = 0;
    long trained = 0;
    for (PackedBatch batch : Batches.inOrder(rows.examples(), options.loop().batchSize())) {
      sum += model.loss(batch);
      trained += batch.trainedTokens();
    }
    return sum / trained;
  }

  private Path save(RunState at) throws IOException {
    long started = System.nanoTime();
    Path place = folder.save(at, parameters(), optimizer, adapterConfig, identity());
    listener.on(new TrainEvent.CheckpointSaved(at.step(), place.toString(), ms(started)));
    return place;
  }

  /** Puts the best values back, asks them, and writes the result. */
  private TrainOutcome finish(RunState at) throws IOException {
    boolean best = at.bestLoss() != null;
    if (best) {
      folder.loadBest(parameters());
    }
    samples.answer("after", options.loop().samples()).forEach(listener::on);
    RunFacts facts =
        new RunFacts(
            RunFacts.FORMAT,
            options.saving().name(),
            options.values().asText().get("method"),
            setup.base().facts(),
            dataOfFacts(),
            new RunFacts.Result(
                best ? at.bestStep() : at.step(),
                at.step(),
                at.lastLoss(),
                at.bestLoss(),
                at.lossBefore(),
                parameters().stream().mapToLong(Parameter::elements).sum(),
                model.totalParameters(),
                at.seconds(),
                ProcessMemory.peakResidentBytes()),
            Canary.of(model, setup.base().canaryPrompt(), untrained),
            mergeAware(),
            options.values().asText());
    AdapterFolder.write(
        options.saving().out(),
        new AdapterFolder.Contents(
            parameters(),
            options.saving().half(),
            adapterConfig,
            setup.base().folder(),
            facts,
            io.chorale.train.config.ConfigYaml.write(options.values())));
    String why = enough(at) && at.step() < totalSteps ? "early stopping" : "done";
    finished(at, why, options.saving().out());
    return new TrainOutcome(at, why, Optional.empty(), Optional.of(facts));
  }

  /** Null unless the run was for a merge. */
  private RunFacts.MergeAware mergeAware() {
    MergedRounding how = options.adapter().mergeAware().orElse(null);
    if (how == null) {
      return null;
    }
    model.asMerged(false);
    Double loss = setup.heldOut().map(this::heldOutLoss).orElse(null);
    model.asMerged(true);
    return new RunFacts.MergeAware(how.format().option(), how.rounding().option(), loss);
  }

  private void finished(RunState at, String why, Path out) {
    listener.on(
        new TrainEvent.Finished(
            at.step(), why, at.seconds(), ProcessMemory.peakResidentBytes(), out.toString()));
  }

  /** What must be the same for a checkpoint to be gone on from. */
  private Map<String, String> identity() {
    Map<String, String> identity = new LinkedHashMap<>(options.values().shaping());
    identity.put("base", setup.base().facts().fingerprint());
    identity.put("base weights", setup.base().facts().quantization());
    identity.put("chat template", setup.base().facts().chatTemplateSha256());
    identity.put("steps in all", Integer.toString(totalSteps));
    identity.put("training data", String.join(" ", setup.rows().sha256().values()));
    setup
        .retained()
        .ifPresent(rows -> identity.put("retained data", String.join(" ", rows.sha256().values())));
    setup
        .heldOut()
        .ifPresent(rows -> identity.put("held-out data", String.join(" ", rows.sha256().values())));
    return identity;
  }

  private Map<String, String> dataFacts() {
    TrainRows rows = setup.rows();
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("rows", Integer.toString(rows.rows()));
    facts.put("dropped", Integer.toString(rows.dropped()));
    facts.put("truncated", Integer.toString(rows.truncated()));
    facts.put("tokens", Long.toString(rows.tokens()));
    facts.put(
        "trained tokens",
        "%d (%.1f %%)"
            .formatted(rows.trainedTokens(), 100.0 * rows.trainedTokens() / rows.tokens()));
    setup
        .heldOut()
        .ifPresent(held -> facts.put("held-out rows", Integer.toString(held.examples().size())));
    setup
        .retained()
        .ifPresent(kept -> facts.put("retained rows", Integer.toString(kept.examples().size())));
    return facts;
  }

  private RunFacts.Data dataOfFacts() {
    TrainRows rows = setup.rows();
    Map<String, String> hashes = new LinkedHashMap<>();
    rows.sha256().forEach((file, sha) -> hashes.put(Path.of(file).getFileName().toString(), sha));
    setup
        .retained()
        .ifPresent(
            kept ->
                kept.sha256()
                    .forEach(
                        (file, sha) -> hashes.put(Path.of(file).getFileName().toString(), sha)));
    return new RunFacts.Data(
        hashes,
        rows.rows(),
        rows.dropped(),
        rows.truncated(),
        rows.tokens(),
        rows.trainedTokens(),
        setup.heldOut().map(held -> held.examples().size()).orElse(0));
  }

  private static double ms(long startedNanos) {
    return (System.nanoTime() - startedNanos) / 1e6;
  }
}
