package io.chorale.eval.task;

import io.chorale.eval.EvalException;
import io.chorale.text.jinja.Template;
import io.chorale.text.jinja.Template.Limits;
import java.time.Clock;
import java.util.List;
import java.util.Map;

/**
 * What the harness makes of {@code doc_to_*}: a field's value if the text is a field's name, else
 * Jinja over the document's fields, where a field that is not there is an error. Blocks keep the
 * line ends and blanks around them, as the harness renders and chat templates do not.
 */
final class DocTemplate {
  private static final String END = "\uE000"; // so that the template does not end with a line feed

  private final String source;
  private final String where;
  private final Template template;

  /**
   * @param where file and key, for messages
   */
  DocTemplate(String source, String where) {
    this.source = source;
    this.where = where;
    try {
      this.template = Template.parse(keepingBlanks(source) + END);
    } catch (Template.Failure e) {
      throw new EvalException(where + ": " + e.getMessage(), e);
    }
  }

  /** Marks every block and comment so that neither side of it is trimmed. */
  private static String keepingBlanks(String source) {
    return source.replaceAll("\\{([%#])(?![-+])", "{$1+").replaceAll("(?<![-+])([%#])\\}", "+$1}");
  }

  /** The field's value, or the rendered text. */
  Object value(TaskData.Doc doc) {
    return doc.fields().containsKey(source) ? doc.fields().get(source) : text(doc);
  }

  private String text(TaskData.Doc doc) {
    try {
      String text = template.renderStrict(doc.fields(), Clock.systemUTC(), Limits.DEFAULT);
      return text.substring(0, text.length() - END.length());
    } catch (Template.Failure e) {
      throw new EvalException("%s: %s: %s".formatted(doc.place(), where, e.getMessage()), e);
    }
  }

  /** {@code doc_to_text}. */
  static String question(DocTemplate template, TaskData.Doc doc) {
    Object value = template.value(doc);
    if (!(value instanceof String text) || PyText.isDigits(text)) {
      throw new EvalException(
          "%s: %s gives %s, wanted text; tasks with a context for each choice are not supported"
              .formatted(doc.place(), template.where, value));
    }
    return text;
  }

  /**
   * {@code doc_to_target}: Integer, String, or a List of Integers.
   *
   * @param given a DocTemplate or an Integer
   */
  static Object target(Object given, TaskData.Doc doc) {
    Object value = given instanceof DocTemplate template ? template.value(doc) : given;
    if (value instanceof String text && given instanceof DocTemplate template) {
      boolean field = doc.fields().containsKey(template.source);
      if (!field && PyText.isDigits(text)) {
        return Integer.valueOf(text);
      }
      if (!field && text.length() >= 2 && text.startsWith("[") && text.endsWith("]")) {
        try {
          return PyLiteral.parse(text);
        } catch (IllegalArgumentException e) {
          return text;
        }
      }
      return text;
    }
    if (value instanceof Boolean truth) {
      return truth ? 1 : 0;
    }
    if (value instanceof Number number) {
      return number.intValue();
    }
    if (value instanceof List<?>) {
      return value;
    }
    throw new EvalException(
        "%s: doc_to_target gives %s, wanted an index or a choice".formatted(doc.place(), value));
  }

  /**
   * {@code doc_to_choice}.
   *
   * @param given a DocTemplate or a List
   */
  static List<String> choices(Object given, TaskData.Doc doc) {
    Object value = given instanceof DocTemplate template ? template.value(doc) : given;
    if (value instanceof String text && given instanceof DocTemplate template) {
      try {
        value = PyLiteral.parse(text);
      } catch (IllegalArgumentException e) {
        throw new EvalException(
            "%s: %s: %s".formatted(doc.place(), template.where, e.getMessage()), e);
      }
    }
    if (value instanceof Map<?, ?> map) {
      value = List.copyOf(map.values());
    }
    if (!(value instanceof List<?> list)
        || list.isEmpty()
        || !list.stream().allMatch(String.class::isInstance)) {
      throw new EvalException(
          "%s: doc_to_choice gives %s, wanted a list of texts".formatted(doc.place(), value));
    }
    return list.stream().map(String.class::cast).toList();
  }
}
