package io.chorale.app;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.app.store.BaseModelStore;
import io.chorale.app.store.Progress;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.text.Tokenizer;
import io.chorale.train.data.PromptForm;
import io.chorale.train.data.RecordFormat;
import io.chorale.train.data.SftEncoder;
import io.chorale.train.data.check.CheckOptions;
import io.chorale.train.data.check.DataCheck;
import io.chorale.train.data.check.DataReport;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code chorale data ...}: what can be done with fine-tuning data short of using it. */
@Command(
    name = "data",
    mixinStandardHelpOptions = true,
    description = "Look at fine-tuning data.",
    subcommands = DataCommand.Check.class)
final class DataCommand implements Runnable {
  /** Exit code of {@code --strict} when there are errors. */
  static final int ERRORS = 3;

  @Spec CommandSpec spec;

  @Override
  public void run() {
    throw new CommandLine.ParameterException(spec.commandLine(), "no command given");
  }

  /** {@code chorale data check FILE...} */
  @Command(
      name = "check",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      description = {
        "Name every defect of data files with its line, field, reason and fix, then sum up.",
        "Reads .jsonl, .json, .csv, .tsv and .parquet; nothing is changed unless --write-clean is given."
      },
      footer = {"", "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 --strict found errors."})
  static final class Check implements Callable<Integer> {
    private static final long PROGRESS_MS = 2000;

    @Spec CommandSpec spec;

    @Parameters(paramLabel = "FILE", arity = "1..*", description = "Training data.")
    List<Path> files;

    @Option(
        names = "--format",
        paramLabel = "NAME",
        description =
            "alpaca, messages, sharegpt, prompt-completion or text. Default: told from the fields.")
    String format;

    @Option(
        names = "--model",
        paramLabel = "PATH|ORG/NAME",
        description = "Its tokenizer and template count tokens. Default: the cached base model.")
    String model;

    @Option(names = "--no-tokens", description = "Count no tokens; no model is needed.")
    boolean noTokens;

    @Option(
        names = "--max-seq-length",
        paramLabel = "TOKENS",
        defaultValue = "2048",
        description = "Longer rows are cut. Default: ${DEFAULT-VALUE}")
    int maxSeqLength;

    @Option(
        names = "--prompt-form",
        paramLabel = "NAME",
        defaultValue = "chat-template",
        description = "chat-template or instruction (### Response:). Default: ${DEFAULT-VALUE}")
    String promptForm;

    @Option(
        names = "--min-chars",
        paramLabel = "N",
        defaultValue = "10",
        description = "Shortest answer. Default: ${DEFAULT-VALUE}")
    int minChars;

    @Option(
        names = "--max-chars",
        paramLabel = "N",
        defaultValue = "4096",
        description = "Longest answer. Default: ${DEFAULT-VALUE}")
    int maxChars;

    @Option(
        names = "--eval-data",
        paramLabel = "FILE",
        description = "Rows that the training data must not hold.")
    Path evalData;

    @Option(names = "--strict", description = "Exit with 3 if there are errors.")
    boolean strict;

    @Option(
        names = "--write-clean",
        paramLabel = "OUT",
        description = "Write the rows without errors, put right: .jsonl, .json or .csv.")
    Path writeClean;

    @Option(names = "--report", paramLabel = "JSON", description = "Write everything found here.")
    Path report;

    @Option(
        names = "--show",
        paramLabel = "N",
        defaultValue = "100",
        description = "Findings to print of each kind. Default: ${DEFAULT-VALUE}")
    int show;

    @Override
    public Integer call() throws IOException {
      PrintWriter out = spec.commandLine().getOut();
      PrintWriter err = spec.commandLine().getErr();
      CheckOptions options = options();
      PromptForm form = named(PromptForm.values(), promptForm, "--prompt-form");
      Optional<BaseModelFiles> base = base(err);
      DataReport found;
      if (base.isPresent()) {
        try (BaseModelFiles opened = base.get()) {
          BaseModel text = BaseModel.of(opened);
          SftEncoder encoder = new SftEncoder(source(opened, text), form, maxSeqLength);
          found =
              new DataCheck(
                      options, Optional.of(encoder), controls(text.tokenizer()), progress(err))
                  .run();
        }
      } else {
        found = new DataCheck(options, Optional.empty(), List.of(), progress(err)).run();
      }
      out.print(found.text(show));
      out.flush();
      if (report != null) {
        new ObjectMapper()
            .writerWithDefaultPrettyPrinter()
            .writeValue(report.toFile(), found.json());
      }
      return strict && found.errors() > 0 ? ERRORS : 0;
    }

    private CheckOptions options() {
      try {
        return new CheckOptions(
            files,
            Optional.ofNullable(evalData),
            Optional.ofNullable(format).map(f -> named(RecordFormat.values(), f, "--format")),
            minChars,
            maxChars,
            Optional.ofNullable(writeClean));
      } catch (IllegalArgumentException e) {
        throw new UsageException(e.getMessage());
      }
    }

    private static <E extends Enum<E>> E named(E[] known, String name, String option) {
      for (E one : known) {
        if (one.name().equals(name.toUpperCase(Locale.ROOT).replace('-', '_'))) {
          return one;
        }
      }
      List<String> names =
          java.util.Arrays.stream(known)
              .map(e -> e.name().toLowerCase(Locale.ROOT).replace('_', '-'))
              .toList();
      throw new UsageException("%s is '%s', wanted one of %s".formatted(option, name, names));
    }

    private Optional<BaseModelFiles> base(PrintWriter err) throws IOException {
      if (noTokens) {
        return Optional.empty();
      }
      BaseModelStore store =
          BaseModelStore.ofUser(Optional.empty(), System.getenv(), Progress.onStandardError());
      Optional<Path> path =
          model == null ? store.cachedDefault() : Optional.of(store.bring(Optional.of(model)));
      if (path.isEmpty()) {
        err.println(
            "tokens are not counted: no base model is in the cache; --model names one, chorale serve brings the default");
        err.flush();
        return Optional.empty();
      }
      return Optional.of(BaseModelFiles.open(path.get(), Quantization.NONE));
    }

    static SftEncoder.Source source(BaseModelFiles files, BaseModel text) {
      return new SftEncoder.Source(
          text.tokenizer(),
          text.chatPrompt(),
          files.spec().endTokenIds(),
          text.addBos(),
          text.bosTokenId());
    }

    private static List<String> controls(Tokenizer tokenizer) {
      return IntStream.range(0, tokenizer.vocabSize())
          .filter(tokenizer::isSpecial)
          .mapToObj(id -> tokenizer.token(id).orElse(""))
          .filter(token -> !token.isEmpty())
          .toList();
    }

    /** A line on standard error every two seconds, none if it takes no longer. */
    private static DataCheck.Progress progress(PrintWriter err) {
      long[] last = {System.nanoTime()};
      return (file, rows, bytes) -> {
        if (System.nanoTime() - last[0] > PROGRESS_MS * 1_000_000) {
          last[0] = System.nanoTime();
          err.printf("%s: %,d rows, %,d bytes%n", file.getFileName(), rows, bytes);
          err.flush();
        }
      };
    }
  }
}
