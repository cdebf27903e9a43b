package io.chorale.train.watch.report;

import io.chorale.train.watch.RunHistory;
import io.chorale.train.watch.Smoothed;
import io.chorale.train.watch.TrainEvent.Evaluated;
import io.chorale.train.watch.TrainEvent.Finished;
import io.chorale.train.watch.TrainEvent.Sample;
import io.chorale.train.watch.TrainEvent.Started;
import io.chorale.train.watch.TrainEvent.Step;
import io.chorale.train.watch.Verdict;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** A run's history as one HTML page. */
public final class RunReport {
  private final RunHistory history;
  private final long memoryLimitBytes;

  /**
   * @param memoryLimitBytes of the process, 0 if there is none
   */
  public RunReport(RunHistory history, long memoryLimitBytes) {
    this.history = history;
    this.memoryLimitBytes = memoryLimitBytes;
  }

  /** The page; of a run that has not begun it says so. */
  public String html() {
    Optional<Started> started = history.started();
    if (started.isEmpty()) {
      return Page.of("Training run", true, "<p>The run has not begun.</p>\n");
    }
    String body =
        head(started.get())
            + verdicts()
            + "<h2>Course</h2>\n"
            + (history.steps().isEmpty()
                ? "<p class=\"lead\">No step is done yet.</p>\n"
                : Plots.html(history, memoryLimitBytes))
            + samples()
            + "<h2>Data and configuration</h2>\n<div class=\"tables\">\n"
            + table(started.get().data())
            + table(started.get().configuration())
            + "</div>\n<h2>Run it again</h2>\n<pre>"
            + Html.escape(RunCommand.of(started.get().configuration()))
            + "</pre>\n";
    return Page.of("Training " + started.get().name(), history.finished().isEmpty(), body);
  }

  private String head(Started started) {
    int done = history.lastStep().map(Step::step).orElse(started.firstStep());
    double share = 100.0 * done / Math.max(1, started.totalSteps());
    String state =
        history
            .finished()
            .map(f -> f.why() + " after step " + f.step())
            .orElse("running, step %d of %d".formatted(done, started.totalSteps()));
    String resumed =
        history.resumptions() == 0 ? "" : ", resumed %d times".formatted(history.resumptions());
    return text(
            """
        <h1>%s</h1>
        <p class="lead">%s%s &middot; %,d of %,d parameters trained (%.2f %%)</p>
        <div class="bar"><div style="width:%.1f%%"></div></div>
        """,
            Html.escape(started.name()),
            Html.escape(state),
            resumed,
            started.trainableParameters(),
            started.allParameters(),
            100.0 * started.trainableParameters() / Math.max(1, started.allParameters()),
            Math.min(100, share))
        + tiles(started);
  }

  private String tiles(Started started) {
    Map<String, String> tiles = new LinkedHashMap<>();
    Smoothed loss = Smoothed.ofRun(started.totalSteps());
    double tokens = 0;
    double ms = 0;
    for (Step step : history.steps()) {
      loss.add(step.loss(), step.trainedTokens());
      tokens += step.tokens();
      ms += step.stepMs();
    }
    if (ms > 0) {
      tiles.put("training loss, smoothed", text("%.4f", loss.value()));
    }
    Optional<Evaluated> best = history.bestEvaluation();
    best.ifPresent(b -> tiles.put("best held-out loss, step " + b.step(), text("%.4f", b.loss())));
    if (ms > 0) {
      tiles.put("tokens per second", text("%,.0f", tokens * 1e3 / ms));
      tiles.put("tokens in all", text("%,.0f", tokens));
    }
    long peak = history.peakResidentBytes();
    String planned =
        started.plannedPeakBytes() > 0
            ? text("peak memory, planned %,.0f MiB", started.plannedPeakBytes() / 1048576.0)
            : "peak memory";
    if (peak > 0) {
      tiles.put(planned, text("%,.0f MiB", peak / 1048576.0));
    }
    history
        .finished()
        .map(Finished::seconds)
        .ifPresent(s -> tiles.put("minutes", text("%.1f", s / 60)));
    StringBuilder html = new StringBuilder("<div class=\"tiles\">\n");
    tiles.forEach(
        (label, value) ->
            html.append(
                "<div class=\"tile\"><b>%s</b><span>%s</span></div>\n"
                    .formatted(Html.escape(value), Html.escape(label))));
    return html.append("</div>\n").toString();
  }

  private String verdicts() {
    StringBuilder html = new StringBuilder("<h2>Verdicts</h2>\n");
    if (history.verdicts().isEmpty()) {
      return html.append("<p class=\"lead\">None: nothing looks wrong.</p>\n").toString();
    }
    for (Verdict verdict : history.verdicts()) {
      String look = !verdict.raised() ? "over" : verdict.kind().fatal() ? "fatal" : "warning";
      html.append(
          "<div class=\"card %s\"><h3>%s%s, step %d</h3>\n<p>%s</p>\n"
              .formatted(
                  look,
                  verdict.raised() ? "" : "No longer ",
                  Html.escape(verdict.kind().label()),
                  verdict.step(),
                  Html.escape(verdict.text())));
      if (!verdict.remedies().isEmpty()) {
        html.append("<ul>\n");
        verdict.remedies().forEach(r -> html.append("<li>" + Html.escape(r.text()) + "</li>\n"));
        html.append("</ul>\n");
      }
      html.append("</div>\n");
    }
    return html.toString();
  }

  /** What the model answered to one prompt. */
  private static final class Answers {
    private String wanted = "";
    private String before;
    private String after;
  }

  private String samples() {
    Map<String, Answers> byPrompt = new LinkedHashMap<>();
    for (Sample sample : history.samples()) {
      Answers answers = byPrompt.computeIfAbsent(sample.prompt(), p -> new Answers());
      answers.wanted = sample.wanted();
      if (sample.when().equals("before")) {
        answers.before = sample.answer();
      } else {
        answers.after = sample.answer();
      }
    }
    if (byPrompt.isEmpty()) {
      return "";
    }
    StringBuilder html = new StringBuilder("<h2>Answers</h2>\n<div class=\"samples\">\n");
    byPrompt.forEach(
        (prompt, answers) ->
            html.append("<div class=\"sample\"><div class=\"prompt\">")
                .append(side("prompt", prompt))
                .append("</div><div class=\"sides\">")
                .append("<div>" + side("wanted", answers.wanted) + "</div>")
                .append("<div>" + side("before training", answers.before) + "</div>")
                .append("<div>" + side("after training", answers.after) + "</div>")
                .append("</div></div>\n"));
    return html.append("</div>\n").toString();
  }

  private static String side(String label, String text) {
    return "<div class=\"label\">%s</div><div class=\"text\">%s</div>"
        .formatted(label, text == null ? "not yet" : Html.escape(text));
  }

  private static String table(Map<String, String> rows) {
    if (rows.isEmpty()) {
      return "";
    }
    StringBuilder html = new StringBuilder("<table>\n");
    rows.forEach(
        (name, value) ->
            html.append(
                "<tr><th scope=\"row\">%s</th><td>%s</td></tr>\n"
                    .formatted(Html.escape(name), Html.escape(value))));
    return html.append("</table>\n").toString();
  }

  private static String text(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }
}
