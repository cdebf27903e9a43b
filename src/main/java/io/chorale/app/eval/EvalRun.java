package io.chorale.app.eval;

import io.chorale.app.BaseModel;
import io.chorale.app.store.BaseModelStore;
import io.chorale.app.store.Progress;
import io.chorale.eval.EvalException;
import io.chorale.eval.EvalListener;
import io.chorale.eval.TaskResult;
import io.chorale.eval.report.Summary;
import io.chorale.eval.run.EngineSettings;
import io.chorale.eval.run.EvalEngine;
import io.chorale.eval.run.ModelText;
import io.chorale.eval.stat.Bootstrap;
import io.chorale.eval.stat.Forgetting;
import io.chorale.eval.stat.Strata;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.tensor.NativeLimits;
import java.io.IOException;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/** Models one after the other through all tests; then the summary. Used once, one thread. */
final class EvalRun {
  /** How numbers are judged. */
  record Judging(Bootstrap bootstrap, double maxDrop) {}

  private final List<String> models;
  private final Map<String, Path> adapters;
  private final EngineSettings engine;
  private final String quantize;
  private final Map<String, TaskResult> results = new LinkedHashMap<>();
  private final List<String> candidates = new ArrayList<>();
  private final Map<String, String> settings = new LinkedHashMap<>();

  EvalRun(List<String> models, Map<String, Path> adapters, EngineSettings engine, String quantize) {
    this.models = models;
    this.adapters = adapters;
    this.engine = engine;
    this.quantize = quantize;
  }

  void all(PlannedTests planned, EvalListener listener) throws IOException {
    NativeLimits.check();
    if (models.isEmpty()) {
      model("base", Optional.empty(), adapters, planned, listener);
    }
    for (int i = 0; i < models.size(); i++) {
      Named named = Named.of("--model", models.get(i));
      String name = i > 0 || !named.path().equals(models.get(i)) ? named.name() : "base";
      model(name, Optional.of(named.path()), i == 0 ? adapters : Map.of(), planned, listener);
    }
  }

  private void model(
      String name,
      Optional<String> where,
      Map<String, Path> itsAdapters,
      PlannedTests planned,
      EvalListener listener)
      throws IOException {
    Path path =
        BaseModelStore.ofUser(Optional.empty(), System.getenv(), Progress.onStandardError())
            .bring(where);
    try (BaseModelFiles files = BaseModelFiles.open(path, Quantization.parse(quantize));
        EvalEngine running =
            EvalEngine.open(files, text(files), name, itsAdapters, engine, listener)) {
      for (String candidate : running.candidates()) {
        if (candidates.contains(candidate)) {
          throw new EvalException(
              "two candidates are called '%s'; NAME=PATH names them apart".formatted(candidate));
        }
        candidates.add(candidate);
      }
      settings.put(
          name,
          "%s, %s, kernels %s"
              .formatted(files.spec().name(), path.getFileName(), running.kernels()));
      for (PlannedTests.Planned each : planned.all()) {
        results.merge(each.task().name(), each.task().run(running, listener), TaskResult::with);
      }
    }
  }

  private static ModelText text(BaseModelFiles files) {
    BaseModel model = BaseModel.of(files);
    return new ModelText(
        model.tokenizer(),
        model.chatPrompt(),
        files.spec().endTokenIds(),
        model.addBos(),
        model.bosTokenId());
  }

  List<TaskResult> results() {
    return List.copyOf(results.values());
  }

  Summary summary(String title, PlannedTests planned, Overlap overlap, Judging judging) {
    List<Summary.Section> sections = new ArrayList<>();
    List<Forgetting> forgetting = new ArrayList<>();
    for (PlannedTests.Planned each : planned.all()) {
      TaskResult result = results.get(each.task().name());
      List<Summary.Group> told = groupsOf(result.task(), planned);
      boolean detail = told.stream().anyMatch(g -> g.tasks().size() >= Summary.Group.LARGE);
      sections.addAll(
          Summary.sections(
              result, candidates, new Summary.Place(each.also(), detail), judging.bootstrap()));
      if (each.also() && told.isEmpty()) {
        forgetting.addAll(
            forgotten(result.task(), c -> Strata.of(result.metric(c, result.primary())), judging));
      }
    }
    for (PlannedTests.PlannedGroup each : planned.groups()) {
      Summary.Group group = each.group();
      List<TaskResult> members = group.tasks().stream().map(results::get).toList();
      sections.add(Summary.section(group, members, candidates, each.also(), judging.bootstrap()));
      if (each.also()) {
        forgetting.addAll(forgotten(group.name(), c -> group.score(members, c), judging));
      }
    }
    Map<String, String> told = new LinkedHashMap<>();
    told.put("date", LocalDate.now(ZoneOffset.UTC).toString());
    told.putAll(settings);
    told.put(
        "intervals",
        "95 %%, bootstrap over documents, %d resamples, seed %d"
            .formatted(judging.bootstrap().resamples(), judging.bootstrap().seed()));
    planned.isolation().ifPresent(words -> told.put("code of the models", words));
    return new Summary(title, told, candidates, sections, forgetting, overlap.lines());
  }

  private static List<Summary.Group> groupsOf(String task, PlannedTests planned) {
    return planned.groups().stream()
        .map(PlannedTests.PlannedGroup::group)
        .filter(group -> group.tasks().contains(task))
        .toList();
  }

  /** Every candidate but the first against the first. */
  private List<Forgetting> forgotten(String task, Function<String, Strata> score, Judging judging) {
    Forgetting.Paired paired = new Forgetting.Paired(judging.bootstrap(), judging.maxDrop());
    Strata base = score.apply(candidates.get(0));
    return candidates.subList(1, candidates.size()).stream()
        .map(candidate -> paired.judge(task, candidate, score.apply(candidate), base))
        .toList();
  }
}
