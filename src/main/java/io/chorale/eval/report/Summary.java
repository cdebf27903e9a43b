package io.chorale.eval.report;

import io.chorale.eval.Metric;
import io.chorale.eval.Metric.Transform;
import io.chorale.eval.TaskResult;
import io.chorale.eval.stat.Bootstrap;
import io.chorale.eval.stat.Estimate;
import io.chorale.eval.stat.Forgetting;
import io.chorale.eval.stat.Strata;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * All that a report says.
 *
 * @param title of the page
 * @param settings what is needed to repeat the run, in order
 * @param candidates in the order of the tables; the first is the base that the others are held to
 * @param sections one per test and metric
 * @param forgetting of the other tests
 * @param overlap what the check against training data found, a line each
 */
public record Summary(
    String title,
    Map<String, String> settings,
    List<String> candidates,
    List<Section> sections,
    List<Forgetting> forgetting,
    List<String> overlap) {

  /**
   * One metric of one test for every candidate.
   *
   * @param also the test is of another domain
   * @param primary the test's main metric
   * @param detail part of a large group: only in the JSON report
   */
  public record Section(
      String task,
      String kind,
      boolean also,
      boolean primary,
      boolean detail,
      String metric,
      boolean higherIsBetter,
      Transform transform,
      int documents,
      List<Cell> cells,
      List<String> notes) {}

  /**
   * One number.
   *
   * @param difference to the base, paired; null for the base itself
   * @param apart its interval and the base's have nothing in common
   */
  public record Cell(String candidate, Estimate value, Estimate difference, boolean apart) {}

  /** Several tests told as one. */
  public record Group(String name, boolean weightBySize, String metric, List<String> tasks) {
    /** From so many tests on, each of them is a detail. */
    public static final int LARGE = 9;

    /**
     * @param members the results of {@code tasks}, in order
     */
    public Strata score(List<TaskResult> members, String candidate) {
      return Strata.group(
          members.stream().map(member -> member.metric(candidate, metric)).toList(), weightBySize);
    }
  }

  /** What a section says beside its numbers. */
  private record Heading(
      String task, String kind, Place place, boolean primary, String metric, List<String> notes) {}

  /**
   * Where a test stands in the report.
   *
   * @param also it is of another domain
   * @param detail it is part of a large group
   */
  public record Place(boolean also, boolean detail) {}

  /** The sections of a test, its primary metric first. */
  public static List<Section> sections(
      TaskResult result, List<String> candidates, Place place, Bootstrap bootstrap) {
    List<Section> sections = new ArrayList<>();
    for (Metric metric : result.metrics().get(candidates.get(0))) {
      boolean primary = metric.name().equals(result.primary());
      List<Strata> scores =
          candidates.stream()
              .map(candidate -> Strata.of(result.metric(candidate, metric.name())))
              .toList();
      Heading heading =
          new Heading(
              result.task(),
              result.kind(),
              place,
              primary,
              metric.name(),
              primary ? result.notes() : List.of());
      sections.add(primary ? 0 : sections.size(), section(heading, scores, candidates, bootstrap));
    }
    return sections;
  }

  /** The section of a group over the results of its tests. */
  public static Section section(
      Group group,
      List<TaskResult> members,
      List<String> candidates,
      boolean also,
      Bootstrap bootstrap) {
    List<Strata> scores =
        candidates.stream().map(candidate -> group.score(members, candidate)).toList();
    String note =
        "group of %d tests, weighted %s"
            .formatted(members.size(), group.weightBySize() ? "by size" : "alike");
    Heading heading =
        new Heading(
            group.name(), "group", new Place(also, false), true, group.metric(), List.of(note));
    return section(heading, scores, candidates, bootstrap);
  }

  private static Section section(
      Heading heading, List<Strata> scores, List<String> candidates, Bootstrap bootstrap) {
    List<Cell> cells = new ArrayList<>();
    Estimate base = bootstrap.of(scores.get(0));
    cells.add(new Cell(candidates.get(0), base, null, false));
    for (int i = 1; i < candidates.size(); i++) {
      Estimate value = bootstrap.of(scores.get(i));
      Estimate difference = bootstrap.difference(scores.get(i), scores.get(0));
      cells.add(new Cell(candidates.get(i), value, difference, value.isApartFrom(base)));
    }
    Metric first = scores.get(0).first();
    return new Section(
        heading.task(),
        heading.kind(),
        heading.place().also(),
        heading.primary(),
        heading.place().detail(),
        heading.metric(),
        first.higherIsBetter(),
        first.transform(),
        scores.get(0).documents(),
        cells,
        heading.notes());
  }
}
