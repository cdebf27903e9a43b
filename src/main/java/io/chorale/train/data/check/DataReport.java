package io.chorale.train.data.check;

import io.chorale.train.data.read.Finding;
import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What a check found.
 *
 * @param formats one line a file, the format and why it was taken
 * @param findings in the order of files and lines
 * @param rows rows of the training files, kept and dropped
 * @param kept rows without an error
 * @param tokens empty if tokens were not counted
 */
public record DataReport(
    List<String> formats, List<Finding> findings, int rows, int kept, TokenCounts tokens) {

  /**
   * @param lengths [examples] tokens of each kept row before it was cut, sorted
   * @param trained positions that the loss is taken over, all kept rows together
   * @param used tokens after cutting, all kept rows together
   * @param truncated kept rows that were cut
   */
  public record TokenCounts(int[] lengths, long trained, long used, int truncated) {
    static final TokenCounts NONE = new TokenCounts(new int[0], 0, 0, 0);

    /** Nearest rank; 0 if there are no rows. */
    public int percentile(int percent) {
      int rank = (int) Math.ceil(percent / 100.0 * lengths.length);
      return lengths.length == 0 ? 0 : lengths[Math.max(0, rank - 1)];
    }

    /** Of the tokens that are computed, how many the loss is taken over; 0..1. */
    public double trainedShare() {
      return used == 0 ? 0 : (double) trained / used;
    }

    /** Counts of lengths up to 32, 64, 128, ...; the upper bound is the key. */
    public Map<Integer, Integer> histogram() {
      Map<Integer, Integer> bins = new LinkedHashMap<>();
      int bound = 32;
      bins.put(bound, 0);
      for (int length : lengths) {
        while (length > bound) {
          bound *= 2;
          bins.put(bound, 0);
        }
        bins.merge(bound, 1, Integer::sum);
      }
      return bins;
    }
  }

  public DataReport {
    formats = List.copyOf(formats);
    findings = List.copyOf(findings);
  }

  public int dropped() {
    return rows - kept;
  }

  public long errors() {
    return findings.stream().filter(f -> f.kind().error()).count();
  }

  /** How many findings of each kind there are, those that there are. */
  public Map<Finding.Kind, Integer> byKind() {
    Map<Finding.Kind, Integer> counts = new EnumMap<>(Finding.Kind.class);
    findings.forEach(f -> counts.merge(f.kind(), 1, Integer::sum));
    return counts;
  }

  /** For people: what was found, then the numbers. At most {@code each} findings of a kind. */
  public String text(int each) {
    StringBuilder text = new StringBuilder();
    formats.forEach(format -> text.append("format: ").append(format).append('\n'));
    Map<Finding.Kind, Integer> shown = new EnumMap<>(Finding.Kind.class);
    for (Finding finding : findings) {
      if (shown.merge(finding.kind(), 1, Integer::sum) <= each) {
        text.append(finding.text()).append('\n');
      }
    }
    byKind()
        .forEach(
            (kind, count) -> {
              if (count > each) {
                text.append(
                    "... and %,d more of %s; --report lists all%n"
                        .formatted(count - each, kind.label()));
              }
            });
    text.append("%nrows %,d, kept %,d, dropped %,d%n".formatted(rows, kept, dropped()));
    byKind().entrySet().stream()
        .sorted(Map.Entry.comparingByValue(Comparator.reverseOrder()))
        .forEach(
            e ->
                text.append(
                    "  %-18s %,8d  %s%n"
                        .formatted(
                            e.getKey().label(),
                            e.getValue(),
                            e.getKey().effect().name().toLowerCase(java.util.Locale.ROOT))));
    if (tokens.lengths().length > 0) {
      text.append(tokenText());
    }
    return text.toString();
  }

  private String tokenText() {
    int[] lengths = tokens.lengths();
    StringBuilder text = new StringBuilder();
    text.append(
        "tokens %,d a row: p50 %,d, p95 %,d, max %,d%n"
            .formatted(
                Math.round(Arrays.stream(lengths).average().orElse(0)),
                tokens.percentile(50),
                tokens.percentile(95),
                lengths[lengths.length - 1]));
    Map<Integer, Integer> bins = tokens.histogram();
    int most = bins.values().stream().mapToInt(Integer::intValue).max().orElse(1);
    bins.forEach(
        (bound, count) ->
            text.append(
                "  <= %,7d %,8d %s%n"
                    .formatted(bound, count, "#".repeat((40 * count + most - 1) / most))));
    return text.append(
            "trained on %.1f %% of %,d tokens; %,d rows truncated%n"
                .formatted(100 * tokens.trainedShare(), tokens.used(), tokens.truncated()))
        .toString();
  }

  /** For programs, ready for Jackson. */
  public Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("formats", formats);
    json.put("rows", rows);
    json.put("kept", kept);
    json.put("dropped", dropped());
    json.put("errors", errors());
    json.put(
        "findings_by_kind",
        byKind().entrySet().stream()
            .collect(
                Collectors.toMap(
                    e -> e.getKey().label(),
                    Map.Entry::getValue,
                    Integer::sum,
                    LinkedHashMap::new)));
    if (tokens.lengths().length > 0) {
      json.put("tokens", tokenJson());
    }
    json.put("findings", findings.stream().map(DataReport::json).toList());
    return json;
  }

  private Map<String, Object> tokenJson() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("used", tokens.used());
    json.put("trained", tokens.trained());
    json.put("truncated_rows", tokens.truncated());
    json.put("p50", tokens.percentile(50));
    json.put("p95", tokens.percentile(95));
    json.put("max", tokens.percentile(100));
    json.put("histogram", tokens.histogram());
    return json;
  }

  private static Map<String, Object> json(Finding finding) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("file", finding.file().toString());
    json.put("line", finding.line());
    json.put("kind", finding.kind().label());
    json.put("severity", finding.kind().error() ? "error" : "warning");
    json.put("field", finding.field());
    json.put("reason", finding.reason());
    json.put("fix", finding.fix());
    return json;
  }
}
