package io.chorale.eval.task;

import io.chorale.eval.EvalException;
import io.chorale.eval.report.Summary.Group;
import io.chorale.eval.run.EvalTask;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads a task's or a group's file into tests that can be run. */
public final class TaskFiles {
  /**
   * How to ask.
   *
   * @param shots few-shot examples, null for what the task says (else 0)
   * @param limit only the first so many documents of each task, 0 for all
   * @param data files by split that replace the task's own
   */
  public record Options(Integer shots, int limit, Map<String, Path> data) {}

  /** The harness' default seed of the few-shot sampler. */
  private static final long FEWSHOT_SEED = 1234;

  private final Options options;
  private final List<EvalTask> tasks = new ArrayList<>();
  private final List<Group> groups = new ArrayList<>();

  private TaskFiles(Options options) {
    this.options = options;
  }

  /**
   * Tests and the groups that tell them as one.
   *
   * @param groups of tasks by name, inner groups first
   */
  public record Loaded(List<EvalTask> tasks, List<Group> groups) {}

  /**
   * @param task a file, or the name of a task that comes with Chorale
   * @throws EvalException naming file, line or key of what cannot be read or is not supported
   */
  public static Loaded read(String task, Options options) {
    TaskFiles files = new TaskFiles(options);
    Path file = Path.of(task);
    files.add(Files.exists(file) ? TaskYaml.read(file) : TaskYaml.shipped(task));
    return new Loaded(files.tasks, files.groups);
  }

  /** Names of the tasks in it, inner ones resolved. */
  private List<String> add(TaskYaml yaml) {
    Object task = yaml.values().get("task");
    return task instanceof List<?> members ? group(yaml, members) : tasks(yaml);
  }

  private List<String> group(TaskYaml yaml, List<?> members) {
    List<String> names = new ArrayList<>();
    for (Object member : members) {
      names.addAll(add(member(yaml, member)));
    }
    aggregates(yaml, names);
    return names;
  }

  /** A member is a file beside the group's, a task's name that is a file's, or a task itself. */
  private TaskYaml member(TaskYaml yaml, Object member) {
    if (member instanceof Map<?, ?> inline) {
      Map<String, Object> values = new LinkedHashMap<>();
      inline.forEach((key, value) -> values.put(String.valueOf(key), value));
      if (values.get("include") instanceof String include) {
        values.remove("include");
        Map<String, Object> merged =
            new LinkedHashMap<>(TaskYaml.read(beside(yaml, include)).values());
        merged.putAll(values);
        return new TaskYaml(yaml.file(), merged);
      }
      return new TaskYaml(yaml.file(), values);
    }
    String name = String.valueOf(member);
    for (String candidate : List.of(name, name + ".yaml", "_" + name + ".yaml")) {
      Path file = beside(yaml, candidate);
      if (Files.isRegularFile(file)) {
        return TaskYaml.read(file);
      }
    }
    throw new EvalException(
        "%s: task '%s' is neither a file beside it nor %s.yaml".formatted(yaml.file(), name, name));
  }

  private static Path beside(TaskYaml yaml, String name) {
    return yaml.file().toAbsolutePath().resolveSibling(name);
  }

  private void aggregates(TaskYaml yaml, List<String> names) {
    Object list = yaml.values().get("aggregate_metric_list");
    if (list == null) {
      return; // the harness then tells the members only
    }
    String group = yaml.string("group");
    if (group == null) {
      throw yaml.failure("group", "a name");
    }
    for (Object each : list instanceof List<?> several ? several : List.of(list)) {
      if (!(each instanceof Map<?, ?> map) || map.get("metric") == null) {
        throw yaml.failure("aggregate_metric_list", "objects with a metric");
      }
      Object aggregation = map.get("aggregation");
      if (aggregation != null && !aggregation.equals("mean")) {
        throw yaml.failure("aggregate_metric_list", "aggregation: mean");
      }
      boolean bySize = !Boolean.FALSE.equals(map.get("weight_by_size"));
      groups.add(new Group(group, bySize, String.valueOf(map.get("metric")), List.copyOf(names)));
    }
  }

  private List<String> tasks(TaskYaml yaml) {
    TaskConfig config = TaskConfig.of(yaml);
    TaskData data = TaskData.of(yaml, options.data());
    int shots = shots(config);
    List<TaskData.Doc> documents = data.split(config.splits().asked());
    List<TaskData.Doc> pool = shots == 0 ? List.of() : data.split(config.splits().pool());
    if (config.splitBy() == null) {
      tasks.add(test(yaml, config, config.task(), documents, pool));
      return List.of(config.task());
    }
    List<String> names = new ArrayList<>();
    Map<String, List<TaskData.Doc>> parts = parts(config, documents);
    Map<String, List<TaskData.Doc>> pools = parts(config, pool);
    parts.forEach(
        (part, docs) -> {
          String name = config.task() + "_" + part;
          tasks.add(test(yaml, config, name, docs, pools.getOrDefault(part, List.of())));
          names.add(name);
        });
    for (String metric : config.metrics()) {
      groups.add(new Group(config.task(), true, metric, names));
    }
    return names;
  }

  private static Map<String, List<TaskData.Doc>> parts(
      TaskConfig config, List<TaskData.Doc> documents) {
    Map<String, List<TaskData.Doc>> parts = new LinkedHashMap<>();
    for (TaskData.Doc doc : documents) {
      Object part = doc.fields().get(config.splitBy());
      if (part == null) {
        throw new EvalException(
            "%s: has no %s, which the task is split by".formatted(doc.place(), config.splitBy()));
      }
      parts.computeIfAbsent(part.toString(), p -> new ArrayList<>()).add(doc);
    }
    return parts;
  }

  private int shots(TaskConfig config) {
    if (options.shots() != null) {
      return options.shots();
    }
    return config.numFewshot() == null ? 0 : config.numFewshot();
  }

  private ChoiceTest test(
      TaskYaml yaml,
      TaskConfig config,
      String name,
      List<TaskData.Doc> documents,
      List<TaskData.Doc> pool) {
    int shots = shots(config);
    ChoiceDocs docs = new ChoiceDocs(yaml, config, shots, FEWSHOT_SEED);
    String note =
        "%d-shot, sampler %s, %s".formatted(shots, config.sampler(), yaml.file().getFileName());
    return new ChoiceTest(
        name, docs.asked(documents, pool, options.limit()), config.metrics(), List.of(note));
  }
}
