package io.chorale.eval.task;

import io.chorale.eval.EvalException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A multiple-choice task's settings, with the harness' defaults.
 *
 * @param task its name
 * @param splits training, validation, test and few-shot split names; null where there is none
 * @param processDocs null, or the one that is built in: hellaswag
 * @param docs how a document is asked
 * @param examples how a few-shot example is asked
 * @param description before everything, a template; may be empty
 * @param sampler default or first_n
 * @param indexes of the few-shot pool that count, null for all
 * @param numFewshot null if the file does not say
 * @param metrics acc, acc_norm, acc_bytes
 * @param splitBy field whose values make a task each, null for one task
 */
record TaskConfig(
    String task,
    Splits splits,
    String processDocs,
    Form docs,
    Form examples,
    String description,
    String sampler,
    List<Integer> indexes,
    Integer numFewshot,
    List<String> metrics,
    String splitBy) {

  /** Names of the parts of the data. */
  record Splits(String training, String validation, String test, String fewshot) {
    /** What is asked. */
    String asked() {
      return test != null ? test : validation;
    }

    /** Where examples come from. */
    String pool() {
      if (fewshot != null) {
        return fewshot;
      }
      if (training != null) {
        return training;
      }
      return validation != null ? validation : test;
    }
  }

  /**
   * Templates or field names of one kind of document.
   *
   * @param target a template, a field name, or a number
   * @param choice a template, a field name, or a list
   */
  record Form(
      String text, Object target, Object choice, String targetDelimiter, String fewshotDelimiter) {}

  private static final Set<String> IGNORED =
      Set.of(
          "task_alias",
          "tag",
          "metadata",
          "should_decontaminate",
          "doc_to_decontamination_query",
          "group",
          "group_alias",
          "dataset_path",
          "dataset_name",
          "dataset_kwargs",
          "unsafe_code");

  private static final Set<String> READ =
      Set.of(
          "task",
          "output_type",
          "training_split",
          "validation_split",
          "test_split",
          "fewshot_split",
          "process_docs",
          "doc_to_text",
          "doc_to_target",
          "doc_to_choice",
          "description",
          "target_delimiter",
          "fewshot_delimiter",
          "fewshot_config",
          "num_fewshot",
          "metric_list",
          "repeats",
          "chorale_split_by");

  private static final Set<String> FEWSHOT =
      Set.of(
          "sampler",
          "split",
          "fewshot_indices",
          "doc_to_text",
          "doc_to_target",
          "doc_to_choice",
          "fewshot_delimiter",
          "target_delimiter");

  private static final Set<String> METRICS = Set.of("acc", "acc_norm", "acc_bytes");

  /**
   * @throws EvalException naming the file and the key that is missing, unknown or of another kind
   */
  static TaskConfig of(TaskYaml yaml) {
    for (Map.Entry<String, Object> entry : yaml.values().entrySet()) {
      String key = entry.getKey();
      if (!IGNORED.contains(key) && !READ.contains(key) && entry.getValue() != null) {
        throw new EvalException(
            "%s: %s is not understood here; multiple choice wants %s"
                .formatted(yaml.file(), key, new java.util.TreeSet<>(READ)));
      }
    }
    if (!"multiple_choice".equals(yaml.string("output_type"))) {
      throw yaml.failure("output_type", "multiple_choice");
    }
    if (yaml.values().get("repeats") instanceof Integer repeats && repeats != 1) {
      throw yaml.failure("repeats", "1");
    }
    Map<?, ?> fewshot = fewshotConfig(yaml);
    Form docs =
        new Form(
            required(yaml, "doc_to_text"),
            templateOr(yaml, "doc_to_target", Integer.class, "a template, a field or a number"),
            templateOr(yaml, "doc_to_choice", List.class, "a template, a field or a list"),
            yaml.string("target_delimiter", " "),
            yaml.string("fewshot_delimiter", "\n\n"));
    return new TaskConfig(
        required(yaml, "task"),
        splits(yaml, fewshot),
        processDocs(yaml),
        docs,
        examples(docs, fewshot),
        yaml.string("description", ""),
        sampler(yaml, fewshot),
        indexes(yaml, fewshot),
        number(yaml, "num_fewshot"),
        metrics(yaml),
        yaml.string("chorale_split_by"));
  }

  private static String required(TaskYaml yaml, String key) {
    String value = yaml.string(key);
    if (value == null) {
      throw yaml.failure(key, "a string");
    }
    return value;
  }

  private static Object templateOr(TaskYaml yaml, String key, Class<?> other, String wanted) {
    Object value = yaml.values().get(key);
    if (other.isInstance(value)) {
      return value;
    }
    if (value == null) {
      throw yaml.failure(key, wanted);
    }
    return yaml.string(key);
  }

  private static Integer number(TaskYaml yaml, String key) {
    Object value = yaml.values().get(key);
    if (value != null && !(value instanceof Integer n && n >= 0)) {
      throw yaml.failure(key, "a number from 0");
    }
    return (Integer) value;
  }

  private static Map<?, ?> fewshotConfig(TaskYaml yaml) {
    Object value = yaml.values().get("fewshot_config");
    if (value == null) {
      return Map.of();
    }
    if (!(value instanceof Map<?, ?> map)) {
      throw yaml.failure("fewshot_config", "an object");
    }
    map.forEach(
        (key, each) -> {
          if (!FEWSHOT.contains(key) && each != null) {
            throw new EvalException(
                "%s: fewshot_config.%s is not understood here, wanted %s"
                    .formatted(yaml.file(), key, new java.util.TreeSet<>(FEWSHOT)));
          }
        });
    return map;
  }

  private static Splits splits(TaskYaml yaml, Map<?, ?> fewshot) {
    Object split = fewshot.get("split");
    Splits splits =
        new Splits(
            yaml.string("training_split"),
            yaml.string("validation_split"),
            yaml.string("test_split"),
            split == null ? yaml.string("fewshot_split") : split.toString());
    if (splits.asked() == null) {
      throw new EvalException(
          yaml.file() + ": has neither test_split nor validation_split, wanted one");
    }
    return splits;
  }

  private static String processDocs(TaskYaml yaml) {
    Object value = yaml.values().get("process_docs");
    if (value == null) {
      return null;
    }
    boolean hellaswag = String.valueOf(yaml.values().get("task")).startsWith("hellaswag");
    if (value instanceof TaskYaml.Function function) {
      boolean known =
          function.name().equals("hellaswag.process_docs")
              || hellaswag && function.name().equals("utils.process_docs");
      if (known) {
        return "hellaswag";
      }
    }
    return yaml.string("process_docs"); // fails, naming the function
  }

  private static Form examples(Form docs, Map<?, ?> fewshot) {
    return new Form(
        (String) or(fewshot, "doc_to_text", docs.text()),
        or(fewshot, "doc_to_target", docs.target()),
        or(fewshot, "doc_to_choice", docs.choice()),
        (String) or(fewshot, "target_delimiter", docs.targetDelimiter()),
        (String) or(fewshot, "fewshot_delimiter", docs.fewshotDelimiter()));
  }

  private static Object or(Map<?, ?> map, String key, Object fallback) {
    Object value = map.get(key);
    return value == null ? fallback : value;
  }

  private static String sampler(TaskYaml yaml, Map<?, ?> fewshot) {
    Object value = or(fewshot, "sampler", "default");
    if (!value.equals("default") && !value.equals("first_n")) {
      throw new EvalException(
          "%s: fewshot_config.sampler is %s, wanted default or first_n"
              .formatted(yaml.file(), value));
    }
    return (String) value;
  }

  private static List<Integer> indexes(TaskYaml yaml, Map<?, ?> fewshot) {
    Object value = fewshot.get("fewshot_indices");
    if (value == null) {
      return null;
    }
    List<Integer> indexes = new ArrayList<>();
    if (value instanceof List<?> list) {
      for (Object each : list) {
        if (!(each instanceof Integer index) || index < 0) {
          throw new EvalException(yaml.file() + ": fewshot_indices wants numbers from 0");
        }
        indexes.add(index);
      }
    }
    return indexes.isEmpty() ? null : indexes;
  }

  private static List<String> metrics(TaskYaml yaml) {
    Object value = yaml.values().get("metric_list");
    if (value == null) {
      return List.of("acc", "acc_norm");
    }
    List<String> metrics = new ArrayList<>();
    if (value instanceof List<?> list) {
      for (Object each : list) {
        Object name = each instanceof Map<?, ?> map ? map.get("metric") : each;
        if (!METRICS.contains(String.valueOf(name))) {
          throw new EvalException(
              "%s: metric_list has '%s', wanted acc, acc_norm or acc_bytes"
                  .formatted(yaml.file(), name));
        }
        metrics.add((String) name);
      }
    }
    if (metrics.isEmpty()) {
      throw yaml.failure("metric_list", "a list of metrics");
    }
    return metrics;
  }
}
