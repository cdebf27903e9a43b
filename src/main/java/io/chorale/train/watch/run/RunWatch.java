package io.chorale.train.watch.run;

import io.chorale.train.watch.RunHistory;
import io.chorale.train.watch.TrainEvent;
import io.chorale.train.watch.TrainEvent.Started;
import io.chorale.train.watch.TrainListener;
import io.chorale.train.watch.Verdict;
import io.chorale.train.watch.file.MetricsFile;
import io.chorale.train.watch.file.TensorBoardFile;
import io.chorale.train.watch.report.ReportFile;
import io.chorale.train.watch.report.RunReport;
import io.chorale.train.watch.verdict.Verdicts;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;

/**
 * Watches one run: each event goes to metrics.jsonl, TensorBoard, the verdicts, the screen and the
 * report, and each new verdict likewise. A resumed run ({@code Started.firstStep} above 0) first
 * reads what metrics.jsonl kept, so report and verdicts go on where they were.
 *
 * <p>A file that cannot be written is given up with one message; training goes on. Close it at the
 * end. One thread.
 */
public final class RunWatch implements TrainListener, AutoCloseable {
  private static final long REPORT_MS = 30_000;

  /**
   * Where and what.
   *
   * @param folder of the run; metrics.jsonl, report.html and tensorboard/ go there
   * @param tensorBoard write event files
   * @param memoryLimitBytes that the process may have, 0 if unknown
   */
  public record Options(Path folder, boolean tensorBoard, long memoryLimitBytes) {}

  private interface Output {
    void write() throws IOException;
  }

  private final Options options;
  private final TrainListener screen;
  private final Consumer<String> problems;
  private final RunHistory history = new RunHistory();
  private final Verdicts verdicts;
  private final ReportFile report;
  private MetricsFile metrics;
  private TensorBoardFile tensorBoard;
  private boolean reporting = true;
  private long reportedAtMs;

  /**
   * @param screen gets every event too, a {@code RunScreen} or any other
   * @param problems gets one line for each file that is given up
   */
  public RunWatch(Options options, TrainListener screen, Consumer<String> problems) {
    this.options = options;
    this.screen = screen;
    this.problems = problems;
    this.verdicts = new Verdicts(options.memoryLimitBytes());
    this.report = new ReportFile(options.folder().resolve("report.html"));
  }

  @Override
  public void on(TrainEvent event) {
    if (event instanceof Started started) {
      begin(started);
    }
    tell(event);
    List<Verdict> fresh = verdicts.on(event);
    fresh.forEach(verdict -> tell(new TrainEvent.Judged(verdict)));
    boolean over = event instanceof TrainEvent.Finished;
    if (over || !fresh.isEmpty() || nowMs() - reportedAtMs >= REPORT_MS) {
      report();
    }
  }

  /** What has happened so far, earlier parts of a resumed run included. */
  public RunHistory history() {
    return history;
  }

  private void begin(Started started) {
    int first = started.firstStep();
    Path folder = options.folder();
    attempt(
        "metrics.jsonl", () -> metrics = MetricsFile.open(folder.resolve("metrics.jsonl"), first));
    if (metrics != null) {
      for (TrainEvent earlier : metrics.kept()) {
        history.on(earlier);
        verdicts.on(earlier); // its answers are in the file already
      }
    }
    if (options.tensorBoard()) {
      attempt(
          "TensorBoard's event file",
          () ->
              tensorBoard =
                  TensorBoardFile.create(
                      folder.resolve("tensorboard"), first, System.currentTimeMillis()));
    }
  }

  private void tell(TrainEvent event) {
    long now = System.currentTimeMillis();
    history.on(event);
    if (metrics != null && !attempt("metrics.jsonl", () -> metrics.write(event, now))) {
      metrics = null;
    }
    if (tensorBoard != null
        && !attempt("TensorBoard's event file", () -> tensorBoard.write(event, now))) {
      tensorBoard = null;
    }
    screen.on(event);
  }

  private void report() {
    if (reporting) {
      reporting =
          attempt(
              "report.html",
              () -> report.write(new RunReport(history, options.memoryLimitBytes())));
      reportedAtMs = nowMs();
    }
  }

  private boolean attempt(String what, Output output) {
    try {
      output.write();
      return true;
    } catch (IOException e) {
      problems.accept(
          "%s in %s is not written any further: %s".formatted(what, options.folder(), e));
      return false;
    }
  }

  private static long nowMs() {
    return System.nanoTime() / 1_000_000;
  }

  /** Writes the report once more and closes the files. */
  @Override
  public void close() {
    report();
    if (metrics != null) {
      attempt("metrics.jsonl", metrics::close);
    }
    if (tensorBoard != null) {
      attempt("TensorBoard's event file", tensorBoard::close);
    }
  }
}
