package io.chorale.eval.report;

import io.chorale.eval.Metric.Transform;
import io.chorale.eval.report.Summary.Cell;
import io.chorale.eval.report.Summary.Section;
import io.chorale.eval.stat.Forgetting;
import java.util.List;

/** The report as one page that loads nothing: tables, and bars with their intervals as SVG. */
public final class HtmlReport {
  private static final int LABEL = 190;
  private static final int PLOT = 470;
  private static final int RIGHT = 120;
  private static final int BAR = 22;
  private static final int GAP = 10;
  private static final int TOP = 8;

  private static final String STYLE =
      """
      :root{color-scheme:light dark;--ink:#1c2430;--mute:#5c6675;--line:#d5dae2;--bar:#3b6fb6;
      --base:#9aa4b2;--good:#1f7a4d;--bad:#b3372f;--paper:#fff}
      @media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--mute:#9aa4b2;--line:#39414d;
      --bar:#6b9be0;--base:#6a7483;--good:#5bc08f;--bad:#ec8078;--paper:#161a20}}
      body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
      max-width:860px;margin:2rem auto;padding:0 1rem}
      h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
      table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
      th,td{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right}
      th:first-child,td:first-child,th:last-child,td:last-child,.left{text-align:left}
      .mute{color:var(--mute);font-size:.9rem}.good{color:var(--good)}.bad{color:var(--bad)}
      svg{width:100%;height:auto}svg text{fill:var(--ink);font-size:13px}
      svg .halo{stroke:var(--paper);stroke-width:4.5;fill:none}
      svg .range{stroke:var(--ink);stroke-width:1.6;fill:none}
      svg .axis{fill:var(--mute);font-size:11px}
      """;

  private HtmlReport() {}

  public static String of(Summary summary) {
    StringBuilder out =
        new StringBuilder("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">");
    out.append("<meta name=\"viewport\" content=\"width=device-width\"><title>");
    out.append(escape(summary.title())).append("</title><style>").append(STYLE).append("</style>");
    out.append("<h1>").append(escape(summary.title())).append("</h1><p class=\"mute\">");
    summary
        .settings()
        .forEach((name, value) -> out.append(escape(name + ": " + value)).append("<br>"));
    out.append("</p><h2>Train/test overlap</h2>");
    summary.overlap().forEach(line -> out.append("<p>").append(escape(line)).append("</p>"));
    summary.sections().stream()
        .filter(section -> !section.detail())
        .forEach(section -> section(out, section));
    if (!summary.forgetting().isEmpty()) {
      forgetting(out, summary.forgetting());
    }
    return out.append("</html>\n").toString();
  }

  private static void section(StringBuilder out, Section section) {
    out.append("<h2>").append(escape(section.task() + ": " + section.metric())).append("</h2>");
    out.append(
        "<p class=\"mute\">%d documents, %s%s, %s is better; lines are 95 %% intervals</p>"
            .formatted(
                section.documents(),
                escape(section.kind()),
                section.also() ? " (another domain)" : "",
                section.higherIsBetter() ? "higher" : "lower"));
    plot(out, section);
    out.append("<table><tr><th>candidate<th>").append(escape(section.metric()));
    out.append("<th>interval<th>to base, paired<th></tr>");
    for (Cell cell : section.cells()) {
      String words = MarkdownReport.words(section, cell);
      out.append("<tr><td>").append(escape(cell.candidate()));
      out.append("<td>").append(Numbers.value(section.transform(), cell.value().value()));
      out.append("<td>").append(Numbers.interval(section.transform(), cell.value()));
      out.append("<td>");
      if (cell.difference() != null) {
        out.append(Numbers.difference(section.transform(), cell.difference()));
      }
      String tone =
          words.startsWith("better") ? "good" : words.startsWith("worse") ? "bad" : "mute";
      out.append("<td class=\"%s\">%s</tr>".formatted(tone, words));
    }
    out.append("</table>");
    section.notes().forEach(n -> out.append("<p class=\"mute\">").append(escape(n)).append("</p>"));
  }

  /** Bars from zero; the scale ends above the highest interval. */
  private static void plot(StringBuilder out, Section section) {
    List<Cell> cells = section.cells();
    double most = section.transform() == Transform.SHARE ? 1 : 0;
    for (Cell cell : cells) {
      most = Math.max(most, Math.max(cell.value().high(), cell.value().value()));
    }
    double top = section.transform() == Transform.SHARE ? 1 : niceAbove(most);
    int height = TOP + cells.size() * (BAR + GAP) + 22;
    out.append(
        "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">"
            .formatted(
                LABEL + PLOT + RIGHT, height, escape(section.task() + " " + section.metric())));
    for (int tick = 0; tick <= 4; tick++) {
      double x = LABEL + PLOT * tick / 4.0;
      out.append(
          Numbers.format(
              "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"var(--line)\"/>"
                  + "<text class=\"axis\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>",
              x,
              TOP,
              x,
              height - 20,
              x,
              height - 6,
              tickText(section.transform(), top * tick / 4)));
    }
    for (int i = 0; i < cells.size(); i++) {
      bar(out, section, cells.get(i), TOP + i * (BAR + GAP) + GAP / 2.0, top);
    }
    out.append("</svg>");
  }

  private static void bar(StringBuilder out, Section section, Cell cell, double y, double top) {
    double scale = PLOT / top;
    double width = Math.max(0, cell.value().value() * scale);
    double low = LABEL + Math.max(0, cell.value().low()) * scale;
    double high = LABEL + cell.value().high() * scale;
    double middle = y + BAR / 2.0;
    String name = cell.candidate();
    String shown = name.length() > 26 ? name.substring(0, 25) + "…" : name;
    out.append(
        Numbers.format(
            "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>"
                + "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" fill=\"var(--%s)\"/>",
            LABEL - 8,
            middle + 4.5,
            escape(shown),
            LABEL,
            y,
            width,
            BAR,
            cell.difference() == null ? "base" : "bar"));
    out.append(
        Numbers.format(
            "<path class=\"halo\" d=\"%1$s\"/><path class=\"range\" d=\"%1$s\"/>",
            Numbers.format(
                "M%.1f %.1fH%.1fM%.1f %.1fv10M%.1f %.1fv10",
                low, middle, high, low, middle - 5, high, middle - 5)));
    out.append(
        Numbers.format(
            "<text x=\"%.1f\" y=\"%.1f\">%s</text>",
            Math.max(high, LABEL + width) + 8,
            middle + 4.5,
            Numbers.value(section.transform(), cell.value().value())));
  }

  private static String tickText(Transform transform, double value) {
    return transform == Transform.SHARE
        ? Numbers.format("%.0f %%", 100 * value)
        : Numbers.format(value >= 10 ? "%.0f" : "%.2f", value);
  }

  /** 1, 2, 4 or 8 times a power of ten. */
  private static double niceAbove(double value) {
    if (!(value > 0) || Double.isInfinite(value)) {
      return 1;
    }
    double power = Math.pow(10, Math.floor(Math.log10(value)));
    for (double step : new double[] {1, 2, 4, 8}) {
      if (step * power >= value) {
        return step * power;
      }
    }
    return 10 * power;
  }

  private static void forgetting(StringBuilder out, List<Forgetting> all) {
    out.append("<h2>Forgetting</h2><p class=\"mute\">Drop against the base on tests of other");
    out.append(" domains: points for shares, else per cent of the base's number.</p>");
    out.append(
        "<table><tr><th>test<th class=\"left\">candidate<th>drop<th>interval<th>allowed<th>verdict</tr>");
    for (Forgetting each : all) {
      boolean kept = each.verdict().compareTo(Forgetting.Verdict.PROBABLY_KEPT) <= 0;
      out.append(
          Numbers.format(
              "<tr><td>%s<td class=\"left\">%s<td>%+.2f<td>[%+.2f, %+.2f]<td>%.1f<td class=\"%s\">%s</tr>",
              escape(each.task()),
              escape(each.candidate()),
              each.drop().value(),
              each.drop().low(),
              each.drop().high(),
              each.allowed(),
              kept ? "good" : "bad",
              each.verdict().words()));
    }
    out.append("</table>");
  }

  private static String escape(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;");
  }
}
