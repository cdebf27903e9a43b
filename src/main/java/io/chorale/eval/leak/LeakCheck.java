package io.chorale.eval.leak;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.eval.EvalListener;
import io.chorale.eval.run.EvalTask.Question;
import io.chorale.eval.run.JsonRows;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Compares test questions with the questions of training files: equal (but for case and all that is
 * no letter or digit), or so alike that 80 % of their word trigrams are shared (Jaccard). A
 * question shorter than three words has only the first check. Trigrams that stand in very many
 * training questions ({@link #TEMPLATE_SHARE}) are the template that the questions were made with;
 * they tell nothing apart and are not counted.
 *
 * <p>An index from trigram to training rows keeps it far from comparing all with all.
 */
public final class LeakCheck {
  /** From this share of common trigrams on, two questions are the same. */
  public static final double NEAR = 0.8;

  /**
   * A trigram in so large a share of the training questions is template, if it is in 25 or more.
   */
  public static final double TEMPLATE_SHARE = 0.02;

  private static final int TEMPLATE_ROWS = 25;

  private static final Pattern WORD =
      Pattern.compile("[\\p{L}\\p{N}]+", Pattern.UNICODE_CHARACTER_CLASS);

  /** A training row, taken apart. */
  private record Row(String place, Set<String> trigrams) {}

  private final List<Row> rows = new ArrayList<>();
  private final Map<String, Integer> exact = new HashMap<>();
  private final Map<String, List<Integer>> byTrigram = new HashMap<>();

  private LeakCheck() {}

  /**
   * A test question that training saw.
   *
   * @param test where it stands in the test
   * @param training where it stands in the training data
   * @param alike 1 for equal, else the share of common trigrams
   */
  public record Leak(String test, String training, double alike) {
    @Override
    public String toString() {
      return alike == 1
          ? "%s is %s".formatted(test, training)
          : "%s is %.0f %% %s".formatted(test, 100 * alike, training);
    }
  }

  /**
   * Reads training files: JSON Lines or arrays in any form that training takes, or plain text, a
   * row a line.
   *
   * @throws io.chorale.eval.EvalException naming file and line of what cannot be read
   */
  public static LeakCheck of(List<Path> training, EvalListener listener) {
    LeakCheck check = new LeakCheck();
    for (Path file : training) {
      List<JsonRows.Row> rows = JsonRows.read(file);
      for (int i = 0; i < rows.size(); i++) {
        check.add(rows.get(i));
        listener.at("reading " + file.getFileName(), i + 1L, rows.size());
      }
    }
    return check;
  }

  private void add(JsonRows.Row row) {
    for (String text : questions(row.fields())) {
      List<String> words = words(text);
      if (words.isEmpty()) {
        continue;
      }
      int number = rows.size();
      Set<String> trigrams = trigrams(words);
      rows.add(new Row(row.place(), trigrams));
      exact.putIfAbsent(String.join(" ", words), number);
      for (String trigram : trigrams) {
        byTrigram.computeIfAbsent(trigram, t -> new ArrayList<>()).add(number);
      }
    }
  }

  /** Everything in a training row that may be a question: what is not an answer. */
  private static List<String> questions(JsonNode row) {
    List<String> texts = new ArrayList<>();
    for (String field : new String[] {"question", "text", "query"}) {
      addText(texts, row.path(field));
    }
    if (row.path("instruction").isTextual()) {
      String instruction = row.get("instruction").textValue();
      String input = row.path("input").asText("");
      texts.add(input.isEmpty() ? instruction : instruction + "\n\n" + input);
      addText(texts, row.path("input"));
    }
    for (String field : new String[] {"prompt", "messages", "conversations"}) {
      addText(texts, row.path(field));
      for (JsonNode turn : row.path(field)) {
        String role = turn.path("role").asText(turn.path("from").asText());
        if (role.equals("user") || role.equals("human")) {
          addText(texts, turn.path("content"));
          addText(texts, turn.path("value"));
        }
      }
    }
    return texts;
  }

  private static void addText(List<String> texts, JsonNode node) {
    if (node.isTextual()) {
      texts.add(node.textValue());
    }
  }

  /** How many training questions there are. */
  public int rows() {
    return rows.size();
  }

  /** The test questions that training saw, each with the row that is most alike. */
  public List<Leak> leaks(List<Question> questions) {
    List<Leak> leaks = new ArrayList<>();
    for (Question question : questions) {
      List<String> words = words(question.text());
      Integer same = exact.get(String.join(" ", words));
      if (same != null) {
        leaks.add(new Leak(question.place(), rows.get(same).place(), 1));
      } else {
        Leak near = nearest(question, trigrams(words));
        if (near != null) {
          leaks.add(near);
        }
      }
    }
    return leaks;
  }

  private Leak nearest(Question question, Set<String> trigrams) {
    Map<Integer, Integer> shared = new HashMap<>();
    Set<String> telling = telling(trigrams);
    for (String trigram : telling) {
      for (int row : byTrigram.getOrDefault(trigram, List.of())) {
        shared.merge(row, 1, Integer::sum);
      }
    }
    Leak best = null;
    for (Map.Entry<Integer, Integer> entry : shared.entrySet()) {
      Row row = rows.get(entry.getKey());
      int common = entry.getValue();
      if (common < NEAR * telling.size()) {
        continue; // cannot be near, whatever the row has beside
      }
      double alike = common / (double) (telling.size() + telling(row.trigrams()).size() - common);
      if (alike >= NEAR && (best == null || alike > best.alike())) {
        // Equal trigrams in another order are still not the equal text.
        best = new Leak(question.place(), row.place(), Math.min(alike, 0.999));
      }
    }
    return best;
  }

  private Set<String> telling(Set<String> trigrams) {
    double most = Math.max(TEMPLATE_ROWS, TEMPLATE_SHARE * rows.size());
    Set<String> telling = new HashSet<>(trigrams);
    telling.removeIf(trigram -> byTrigram.getOrDefault(trigram, List.of()).size() >= most);
    return telling;
  }

  private static List<String> words(String text) {
    return WORD.matcher(text.toLowerCase(Locale.ROOT)).results().map(m -> m.group()).toList();
  }

  private static Set<String> trigrams(List<String> words) {
    Set<String> trigrams = new HashSet<>();
    for (int i = 0; i + 3 <= words.size(); i++) {
      trigrams.add(words.get(i) + " " + words.get(i + 1) + " " + words.get(i + 2));
    }
    return trigrams;
  }
}
