package io.chorale.eval.report;

import io.chorale.eval.report.Summary.Cell;
import io.chorale.eval.report.Summary.Section;
import io.chorale.eval.stat.Forgetting;
import java.util.List;

/** The report as Markdown; also what the command prints. */
public final class MarkdownReport {
  private MarkdownReport() {}

  public static String of(Summary summary) {
    StringBuilder out = new StringBuilder("# " + summary.title() + "\n\n");
    summary
        .settings()
        .forEach(
            (name, value) -> out.append("- ").append(name).append(": ").append(value).append('\n'));
    out.append("\n## Train/test overlap\n\n");
    summary.overlap().forEach(line -> out.append("- ").append(line).append('\n'));
    out.append('\n').append(tables(summary.sections()));
    if (!summary.forgetting().isEmpty()) {
      out.append("## Forgetting\n\n").append(forgetting(summary.forgetting()));
    }
    return out.toString();
  }

  /** A table per section. */
  public static String tables(List<Section> sections) {
    StringBuilder out = new StringBuilder();
    for (Section section : sections) {
      if (section.detail()) {
        continue;
      }
      out.append("## %s: %s%n%n".formatted(section.task(), section.metric()));
      out.append(
          "%d documents, %s%s, %s is better, 95 %% intervals%n%n"
              .formatted(
                  section.documents(),
                  section.kind(),
                  section.also() ? " (another domain)" : "",
                  section.higherIsBetter() ? "higher" : "lower"));
      out.append("| candidate | %s | interval | to base, paired | |%n".formatted(section.metric()));
      out.append("|---|---:|---:|---:|---|\n");
      for (Cell cell : section.cells()) {
        out.append(
            "| %s | %s | %s | %s | %s |%n"
                .formatted(
                    cell.candidate(),
                    Numbers.value(section.transform(), cell.value().value()),
                    Numbers.interval(section.transform(), cell.value()),
                    cell.difference() == null
                        ? ""
                        : Numbers.difference(section.transform(), cell.difference()),
                    words(section, cell)));
      }
      out.append('\n');
      section.notes().forEach(note -> out.append("- ").append(note).append('\n'));
      out.append(section.notes().isEmpty() ? "" : "\n");
    }
    return out.toString();
  }

  static String words(Section section, Cell cell) {
    if (cell.difference() == null) {
      return "";
    }
    if (!cell.difference().excludesZero()) {
      return "no difference shown";
    }
    boolean better = cell.difference().value() > 0 == section.higherIsBetter();
    return (better ? "better" : "worse")
        + (cell.apart() ? ", intervals apart" : ", intervals overlap");
  }

  /** A line per candidate and other test. */
  public static String forgetting(List<Forgetting> all) {
    StringBuilder out =
        new StringBuilder("| test | candidate | drop | interval | allowed | verdict |\n");
    out.append("|---|---|---:|---:|---:|---|\n");
    for (Forgetting each : all) {
      out.append(
          Numbers.format(
              "| %s | %s | %+.2f | [%+.2f, %+.2f] | %.1f | %s |%n",
              each.task(),
              each.candidate(),
              each.drop().value(),
              each.drop().low(),
              each.drop().high(),
              each.allowed(),
              each.verdict().words()));
    }
    return out.append('\n').toString();
  }
}
