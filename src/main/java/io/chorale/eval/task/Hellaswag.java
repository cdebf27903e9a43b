package io.chorale.eval.task;

import io.chorale.eval.EvalException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** The harness' {@code process_docs} of hellaswag (Zellers et al. 2019, arXiv:1905.07830). */
final class Hellaswag {
  private static final Pattern BRACKETS = Pattern.compile("\\[.*?\\]", Pattern.UNIX_LINES);

  private Hellaswag() {}

  /** The document with query, choices and gold beside its own fields. */
  static TaskData.Doc process(TaskData.Doc doc) {
    String context = text(doc, "ctx_a") + " " + PyText.capitalize(text(doc, "ctx_b"));
    if (!(doc.fields().get("endings") instanceof List<?> endings)) {
      throw new EvalException(doc.place() + ": endings is no list, wanted hellaswag's fields");
    }
    Map<String, Object> fields = new LinkedHashMap<>(doc.fields());
    fields.put("query", preprocess(text(doc, "activity_label") + ": " + context));
    fields.put("choices", endings.stream().map(each -> preprocess(each.toString())).toList());
    String label = String.valueOf(doc.fields().get("label"));
    if (!PyText.isDigits(label)) {
      throw new EvalException(doc.place() + ": label is '%s', wanted a number".formatted(label));
    }
    fields.put("gold", Integer.valueOf(label));
    return new TaskData.Doc(doc.place(), fields);
  }

  private static String text(TaskData.Doc doc, String field) {
    if (!(doc.fields().get(field) instanceof String text)) {
      throw new EvalException(
          "%s: %s is no text, wanted hellaswag's fields".formatted(doc.place(), field));
    }
    return text;
  }

  static String preprocess(String text) {
    String whole = PyText.strip(text).replace(" [title]", ". ");
    return BRACKETS.matcher(whole).replaceAll("").replace("  ", " ");
  }
}
