package io.chorale.app.eval;

import io.chorale.eval.EvalException;
import io.chorale.eval.answer.AnswerTest;
import io.chorale.eval.answer.PromptShape;
import io.chorale.eval.perplexity.PerplexityTest;
import io.chorale.eval.report.MarkdownReport;
import io.chorale.eval.report.ReportFiles;
import io.chorale.eval.report.Summary;
import io.chorale.eval.run.EngineSettings;
import io.chorale.eval.score.Sandbox;
import io.chorale.eval.score.Scorers;
import io.chorale.eval.stat.Bootstrap;
import io.chorale.eval.task.TaskFiles;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code chorale eval}: base, adapters and merged models side by side on the same tests. */
@Command(
    name = "eval",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Measure base, adapters and merged models on the same tests, with intervals.",
      "Adapters run in one batch over the first --model; further models run one after the other."
    },
    footer = {
      "",
      "Tests: --test rows are JSON with prompt, messages or instruction/input, and answer(s).",
      "Scorers: exact, normalised, contains, regex, numeric, json-field, python.",
      "--task takes a lm-evaluation-harness multiple-choice YAML with local data, or the name of",
      "one that comes with Chorale. docs/evaluation.md says how each number is made."
    })
public final class EvalCommand implements Callable<Integer> {
  @Spec CommandSpec spec;

  @Option(
      names = "--model",
      paramLabel = "[NAME=]PATH|ORG/NAME",
      description = "The base, as for serve, then others to compare. Default: the cached base.")
  List<String> models = new ArrayList<>();

  @Option(
      names = "--adapter",
      paramLabel = "NAME=DIR",
      description = "An adapter of the first model; repeatable.")
  List<String> adapters = new ArrayList<>();

  @Option(
      names = "--test",
      paramLabel = "[NAME=]FILE",
      description = "Questions to answer and score, JSON Lines; repeatable.")
  List<String> tests = new ArrayList<>();

  @Option(
      names = "--task",
      paramLabel = "FILE.yaml|NAME",
      description = "Multiple choice by lm-evaluation-harness' rules; repeatable.")
  List<String> tasks = new ArrayList<>();

  @Option(
      names = "--task-data",
      paramLabel = "[SPLIT=]FILE",
      description = "Local data of the tasks that come with Chorale; repeatable.")
  List<String> taskData = new ArrayList<>();

  @Option(
      names = "--num-fewshot",
      paramLabel = "N",
      description = "Examples before each question of the tasks. Default: what the task says.")
  Integer fewshot;

  @Option(
      names = "--perplexity",
      paramLabel = "[NAME=]FILE",
      description = "Text, or JSON Lines with text; repeatable.")
  List<String> perplexity = new ArrayList<>();

  @Option(
      names = "--stride",
      paramLabel = "TOKENS",
      defaultValue = "0",
      description = "Of the perplexity's windows. Default: as long as the window.")
  int stride;

  @Option(
      names = "--window",
      paramLabel = "TOKENS",
      defaultValue = "0",
      description = "Of the perplexity. Default: the model's context.")
  int window;

  @Option(
      names = "--answer-loss",
      paramLabel = "[NAME=]FILE",
      description = "Rows as for --test; how likely the right answer is; repeatable.")
  List<String> answerLoss = new ArrayList<>();

  @Option(
      names = "--also",
      paramLabel = "[NAME=]FILE|TASK",
      description = {
        "A test of another domain: what was forgotten. A .yaml or a task's name is multiple",
        "choice, .jsonl is questions, .txt is perplexity; repeatable."
      })
  List<String> also = new ArrayList<>();

  @Option(
      names = "--max-drop",
      paramLabel = "POINTS",
      defaultValue = "2",
      description = "Accepted drop on --also tests. Default: ${DEFAULT-VALUE}")
  double maxDrop;

  @Option(
      names = "--train-data",
      paramLabel = "FILE",
      description = "What the adapters were trained on; test questions in it are refused.")
  List<Path> trainData = new ArrayList<>();

  @Option(names = "--allow-leak", description = "Go on although training saw test questions.")
  boolean allowLeak;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "Where report.json, .md, .html and documents.jsonl are written.")
  Path out;

  @Option(
      names = "--title",
      defaultValue = "Chorale evaluation",
      description = "Of the report. Default: ${DEFAULT-VALUE}")
  String title;

  @Option(
      names = "--prompt-form",
      paramLabel = "NAME",
      defaultValue = "chat-template",
      description = "chat-template, instruction or raw. Default: ${DEFAULT-VALUE}")
  String promptForm;

  @Option(
      names = "--scorer",
      paramLabel = "NAME",
      defaultValue = "normalised",
      description = "Of rows that name none. Default: ${DEFAULT-VALUE}")
  String scorer;

  @Option(
      names = "--max-new-tokens",
      paramLabel = "N",
      defaultValue = "256",
      description = "Longest answer. Default: ${DEFAULT-VALUE}")
  int maxNewTokens;

  @Option(
      names = "--limit",
      paramLabel = "N",
      defaultValue = "0",
      description = "Only the first N documents of each test. Default: all.")
  int limit;

  @Option(
      names = "--allow-code-execution",
      description = "Let the python scorer run code that the model wrote, in a sandbox.")
  boolean allowCodeExecution;

  @Option(
      names = "--python",
      paramLabel = "COMMAND",
      defaultValue = "python3",
      description = "Interpreter of the python scorer. Default: ${DEFAULT-VALUE}")
  String python;

  @Option(
      names = "--quantize",
      paramLabel = "NAME",
      defaultValue = "none",
      description =
          "Of full-precision models, as for serve: none, nf4, q4_0 .... Default: ${DEFAULT-VALUE}")
  String quantize;

  @Option(
      names = "--kernels",
      paramLabel = "NAME",
      defaultValue = "auto",
      description = "auto, native or torch. Default: ${DEFAULT-VALUE}")
  String kernels;

  @Option(
      names = "--device",
      paramLabel = "NAME",
      defaultValue = "cpu",
      description = "cpu or cuda. Default: ${DEFAULT-VALUE}")
  String device;

  @Option(names = "--threads", paramLabel = "N", description = "That compute. Default: all.")
  Integer threads;

  @Option(
      names = "--bootstrap",
      paramLabel = "N",
      defaultValue = "2000",
      description = "Resamples of the intervals. Default: ${DEFAULT-VALUE}")
  int bootstrap;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1234",
      description = "Of the resamples. Default: ${DEFAULT-VALUE}")
  long seed;

  @Override
  public Integer call() throws IOException {
    PrintWriter text = spec.commandLine().getOut();
    ProgressLines progress = new ProgressLines(spec.commandLine().getErr());
    Bootstrap intervals = usage(() -> new Bootstrap(bootstrap, seed));
    PlannedTests planned = new PlannedTests(usage(this::testOptions), scorers());
    tests.forEach(planned::questions);
    tasks.forEach(planned::choices);
    perplexity.forEach(planned::texts);
    answerLoss.forEach(planned::answerLoss);
    also.forEach(planned::also);
    if (planned.isEmpty()) {
      throw new ParameterException(
          spec.commandLine(), "no test given; --test, --task, --perplexity or --answer-loss");
    }
    Overlap overlap = Overlap.of(planned, trainData, allowLeak, progress);
    overlap.lines().forEach(text::println);
    text.flush();
    EvalRun run = new EvalRun(models, Named.paths("--adapter", adapters), engine(), quantize);
    run.all(planned, progress);
    Summary summary = run.summary(title, planned, overlap, new EvalRun.Judging(intervals, maxDrop));
    text.print(MarkdownReport.tables(summary.sections()));
    if (!summary.forgetting().isEmpty()) {
      text.print(MarkdownReport.forgetting(summary.forgetting()));
    }
    if (out != null) {
      ReportFiles.write(out, summary, run.results());
      text.println("written: " + out.resolve("report.html"));
    }
    text.flush();
    return 0;
  }

  private PlannedTests.Options testOptions() {
    return new PlannedTests.Options(
        new AnswerTest.Options(PromptShape.parse(promptForm), maxNewTokens, scorer, limit),
        new PerplexityTest.Options(window, stride, limit),
        new TaskFiles.Options(fewshot, limit, splits()));
  }

  /** {@code SPLIT=FILE}; a file alone is what is asked, under each name that a task may use. */
  private Map<String, Path> splits() {
    Map<String, Path> splits = new LinkedHashMap<>();
    for (String text : taskData) {
      int equals = text.indexOf('=');
      if (equals > 0 && !Files.exists(Path.of(text))) {
        splits.put(text.substring(0, equals), Path.of(text.substring(equals + 1)));
      } else {
        splits.put("test", Path.of(text));
        splits.put("validation", Path.of(text));
      }
    }
    return splits;
  }

  private Scorers scorers() {
    return new Scorers(allowCodeExecution ? Optional.of(Sandbox.of(python)) : Optional.empty());
  }

  private EngineSettings engine() {
    int count = threads == null ? Runtime.getRuntime().availableProcessors() : threads;
    return EngineSettings.usual(kernels, device, count);
  }

  private <T> T usage(Callable<T> read) {
    try {
      return read.call();
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage(), e);
    } catch (EvalException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
