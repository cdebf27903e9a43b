package io.chorale.eval.task;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.eval.EvalException;
import io.chorale.eval.run.JsonRows;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The local data of a task: documents by split, in file order. A field that only some documents
 * have is null in the others, as the datasets library makes it.
 */
final class TaskData {
  private static final ObjectMapper JSON = new ObjectMapper();

  /**
   * A document.
   *
   * @param place file:line
   */
  record Doc(String place, Map<String, Object> fields) {}

  private final Map<String, List<Doc>> splits = new LinkedHashMap<>();
  private final String from;

  private TaskData(String from) {
    this.from = from;
  }

  /**
   * @param given files by split, from the command line; they win over the task's own
   * @throws EvalException if the task's data is no local file, or a file is missing or damaged
   */
  static TaskData of(TaskYaml yaml, Map<String, Path> given) {
    TaskData data = new TaskData(yaml.file().toString());
    if (!given.isEmpty()) {
      given.forEach(data::read);
      return data;
    }
    Object path = yaml.values().get("dataset_path");
    if (!"json".equals(path)) {
      throw new EvalException(
          "%s: dataset_path is %s, which would be downloaded; wanted json with dataset_kwargs.data_files, or --task-data SPLIT=FILE"
              .formatted(yaml.file(), path));
    }
    Object kwargs = yaml.values().get("dataset_kwargs");
    Object files = kwargs instanceof Map<?, ?> map ? map.get("data_files") : null;
    if (files instanceof Map<?, ?> bySplit) {
      bySplit.forEach((split, file) -> data.readAll(yaml, String.valueOf(split), file));
    } else if (files != null) {
      data.readAll(yaml, "train", files);
    } else {
      throw yaml.failure("dataset_kwargs", "data_files: a file, or files by split");
    }
    return data;
  }

  private void readAll(TaskYaml yaml, String split, Object files) {
    List<?> several = files instanceof List<?> list ? list : List.of(files);
    for (Object each : several) {
      Path file = Path.of(each.toString());
      Path beside = yaml.file().toAbsolutePath().resolveSibling(file);
      read(split, Files.exists(file) ? file : beside);
    }
  }

  private void read(String split, Path file) {
    List<Doc> docs = splits.computeIfAbsent(split, s -> new ArrayList<>());
    for (JsonRows.Row row : JsonRows.read(file)) {
      docs.add(new Doc(row.place(), JSON.convertValue(row.fields(), new TypeReference<>() {})));
    }
    Set<String> all = new LinkedHashSet<>();
    docs.forEach(doc -> all.addAll(doc.fields().keySet()));
    docs.forEach(doc -> all.forEach(field -> doc.fields().putIfAbsent(field, null)));
  }

  /**
   * @throws EvalException if there is no such split
   */
  List<Doc> split(String name) {
    List<Doc> docs = splits.get(name);
    if (docs == null) {
      throw new EvalException(
          "%s: the data has the splits %s, wanted '%s'; --task-data %s=FILE gives one"
              .formatted(from, splits.keySet(), name, name));
    }
    return docs;
  }
}
