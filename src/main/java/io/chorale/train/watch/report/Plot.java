package io.chorale.train.watch.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * One SVG plot over steps: grid, ticks, curves, legend, marks, and the values of the step under the
 * pointer as titles.
 */
final class Plot {
  private static final int HEIGHT = 250;
  private static final int LEFT = 58;
  private static final int RIGHT = 14;
  private static final int TOP = 12;
  private static final int BOTTOM = 34;
  private static final int COLUMNS = 300;
  private static final int HOVERS = 160;

  private final String title;
  private final String unit;
  private final boolean log;
  private final int width;
  private final List<Curve> curves = new ArrayList<>();
  private final List<Mark> marks = new ArrayList<>();

  /** A vertical line with a title. */
  private record Mark(double x, String text) {}

  /**
   * @param unit of the values, for the caption
   * @param log by powers of ten, if all values are above 0
   */
  Plot(String title, String unit, boolean log) {
    this(title, unit, log, 640);
  }

  /**
   * @param width of the drawing; shown on its whole column, so a wide one is flat
   */
  Plot(String title, String unit, boolean log, int width) {
    this.width = width;
    this.title = title;
    this.unit = unit;
    this.log = log;
  }

  Plot curve(Curve curve) {
    if (curve.x().length > 0) {
      curves.add(curve);
    }
    return this;
  }

  Plot mark(double x, String text) {
    marks.add(new Mark(x, text));
    return this;
  }

  /** The whole figure; empty if there is nothing to plot. */
  String html(String id) {
    if (curves.isEmpty()) {
      return "";
    }
    Axis x = xAxis();
    Axis y = yAxis();
    StringBuilder svg = new StringBuilder();
    svg.append("<figure><figcaption><b>").append(Html.escape(title)).append("</b>");
    svg.append(unit.isEmpty() ? "" : " <span class=\"unit\">" + Html.escape(unit) + "</span>");
    for (Curve curve : curves) {
      svg.append(" <span class=\"key ")
          .append(curve.style())
          .append("\">")
          .append(Html.escape(curve.name()))
          .append("</span>");
    }
    svg.append("</figcaption>\n");
    svg.append(
        text(
            "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s over steps\">\n",
            width, HEIGHT, Html.escape(title)));
    svg.append(
        text(
            "<clipPath id=\"clip-%s\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/></clipPath>\n",
            id, LEFT, TOP, width - LEFT - RIGHT, HEIGHT - TOP - BOTTOM));
    grid(svg, x, y);
    svg.append("<g clip-path=\"url(#clip-").append(id).append(")\">\n");
    for (Mark mark : marks) {
      svg.append(
          text(
              "<line class=\"mark\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"><title>%s</title></line>\n",
              px(x, mark.x), px(x, mark.x), TOP, HEIGHT - BOTTOM, Html.escape(mark.text)));
    }
    curves.forEach(curve -> line(svg, curve, x, y));
    svg.append("</g>\n");
    hovers(svg, x);
    return svg.append("</svg></figure>\n").toString();
  }

  private Axis xAxis() {
    double low = Double.POSITIVE_INFINITY;
    double high = Double.NEGATIVE_INFINITY;
    for (Curve c : curves) {
      low = Math.min(low, c.x()[0]);
      high = Math.max(high, c.x()[c.x().length - 1]);
    }
    return low == high ? new Axis(low - 1, high + 1, false) : new Axis(low, high, false);
  }

  /** A few wild steps do not press the rest flat: they are cut off at the plot's edge. */
  private Axis yAxis() {
    double low = Double.POSITIVE_INFINITY;
    double high = Double.NEGATIVE_INFINITY;
    for (Curve c : curves) {
      double least = c.quantile(0);
      double most = c.quantile(1);
      double nearlyMost = c.quantile(0.98);
      double body = nearlyMost - c.quantile(0.02);
      if (c.style().equals("raw") && most > nearlyMost + 2 * body) {
        most = nearlyMost + body / 2;
      }
      low = Double.isNaN(least) ? low : Math.min(low, least);
      high = Double.isNaN(most) ? high : Math.max(high, most);
    }
    return Axis.around(low, high, log && low > 0 && high / low > 20);
  }

  private void grid(StringBuilder svg, Axis x, Axis y) {
    for (double tick : y.ticks(5)) {
      double at = py(y, tick);
      svg.append(
          text(
              "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
              LEFT, width - RIGHT, at, at, LEFT - 6, at + 4, Axis.label(tick)));
    }
    for (double tick : x.ticks(width / 90)) {
      if (tick != Math.rint(tick)) {
        continue;
      }
      double at = px(x, tick);
      svg.append(
          text(
              "<line class=\"tick\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
              at,
              at,
              HEIGHT - BOTTOM,
              HEIGHT - BOTTOM + 4,
              at,
              HEIGHT - BOTTOM + 17,
              Axis.label(tick)));
    }
    svg.append(
        text(
            "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/><text class=\"name\" x=\"%d\" y=\"%d\" text-anchor=\"end\">step</text>\n",
            LEFT, width - RIGHT, HEIGHT - BOTTOM, HEIGHT - BOTTOM, width - RIGHT, HEIGHT - 3));
  }

  private void line(StringBuilder svg, Curve whole, Axis x, Axis y) {
    Curve curve = whole.thinned(COLUMNS);
    StringBuilder path = new StringBuilder();
    boolean pen = false;
    for (int i = 0; i < curve.x().length; i++) {
      double value = curve.y()[i];
      boolean there = Double.isFinite(value) && !(y.log() && value <= 0);
      if (there) {
        path.append(text("%s%.1f %.1f", pen ? "L" : "M", px(x, curve.x()[i]), py(y, value)));
      }
      pen = there;
    }
    svg.append(text("<path class=\"%s\" d=\"%s\"/>\n", curve.style(), path));
    if (curve.style().equals("eval") || curve.x().length == 1) {
      for (int i = 0; i < curve.x().length; i++) {
        if (Double.isFinite(curve.y()[i])) {
          svg.append(
              text(
                  "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n",
                  curve.style(), px(x, curve.x()[i]), py(y, curve.y()[i])));
        }
      }
    }
  }

  /** Invisible columns whose titles the browser shows. */
  private void hovers(StringBuilder svg, Axis x) {
    double[] places = curves.get(0).x();
    int count = Math.min(HOVERS, places.length);
    for (int h = 0; h < count; h++) {
      double place = places[(int) ((long) h * places.length / count)];
      double next =
          h + 1 < count ? places[(int) ((long) (h + 1) * places.length / count)] : x.high();
      StringBuilder words = new StringBuilder("step ").append(Axis.label(place));
      for (Curve curve : curves) {
        double value = curve.valueAt(place);
        if (!Double.isNaN(value)) {
          words.append('\n').append(curve.name()).append(' ').append(text("%.5g", value));
        }
      }
      svg.append(
          text(
              "<rect class=\"hover\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"><title>%s</title></rect>\n",
              px(x, place),
              TOP,
              Math.max(1, px(x, next) - px(x, place)),
              HEIGHT - TOP - BOTTOM,
              Html.escape(words.toString())));
    }
  }

  private double px(Axis x, double value) {
    return LEFT + x.at(value) * (width - LEFT - RIGHT);
  }

  private static double py(Axis y, double value) {
    return HEIGHT - BOTTOM - y.at(value) * (HEIGHT - TOP - BOTTOM);
  }

  private static String text(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }
}
