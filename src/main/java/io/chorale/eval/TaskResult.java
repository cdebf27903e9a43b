package io.chorale.eval;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A test's numbers for every candidate. All candidates saw the same documents in the same order.
 *
 * @param task the test's name
 * @param kind generate, multiple-choice, perplexity or answer-loss
 * @param primary the metric that a short table shows
 * @param metrics by candidate, in the order of the table
 * @param records of every document and candidate
 * @param notes what a reader has to know to repeat or to trust the numbers
 */
public record TaskResult(
    String task,
    String kind,
    String primary,
    Map<String, List<Metric>> metrics,
    List<DocumentRecord> records,
    List<String> notes) {

  public Metric metric(String candidate, String name) {
    return metrics.get(candidate).stream()
        .filter(metric -> metric.name().equals(name))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException(task + " has no metric " + name));
  }

  /** The candidates of another model beside these. */
  public TaskResult with(TaskResult more) {
    Map<String, List<Metric>> all = new LinkedHashMap<>(metrics);
    all.putAll(more.metrics);
    List<DocumentRecord> both = new ArrayList<>(records);
    both.addAll(more.records);
    List<String> told = new ArrayList<>(notes);
    more.notes.stream().filter(note -> !told.contains(note)).forEach(told::add);
    return new TaskResult(task, kind, primary, all, both, told);
  }
}
