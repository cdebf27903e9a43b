package io.chorale.eval.task;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.chorale.eval.EvalException;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.AbstractConstruct;
import org.yaml.snakeyaml.constructor.SafeConstructor;
import org.yaml.snakeyaml.error.MarkedYAMLException;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.nodes.ScalarNode;
import org.yaml.snakeyaml.nodes.Tag;

/**
 * A task's YAML with what it includes, as plain Java values. {@code !function} becomes a {@link
 * Function}; nothing is ever run.
 *
 * @param file the outer file
 * @param values by key; keys of the outer file win over included ones
 */
record TaskYaml(Path file, Map<String, Object> values) {
  /**
   * A function of the harness that the file asks for.
   *
   * @param name such as {@code utils.process_docs}
   * @param place file:line
   */
  record Function(String name, String place) {}

  private static final List<String> SHIPPED = List.of("mmlu", "hellaswag", "arc_challenge");

  /** Lists, maps, strings, numbers; and {@code !function} by name. */
  private static final class Constructor extends SafeConstructor {
    Constructor(Path file) {
      super(new LoaderOptions());
      yamlConstructors.put(
          new Tag("!function"),
          new AbstractConstruct() {
            @Override
            public Object construct(Node node) {
              String name = node instanceof ScalarNode scalar ? scalar.getValue() : "";
              int line = node.getStartMark().getLine() + 1;
              return new Function(name, file + ":" + line);
            }
          });
    }
  }

  /**
   * @throws EvalException naming file and line of what is no YAML, or an include that is missing or
   *     in a circle
   */
  static TaskYaml read(Path file) {
    return new TaskYaml(file, read(file, new HashSet<>()));
  }

  /**
   * A task that comes with Chorale.
   *
   * @throws EvalException if there is none of this name
   */
  static TaskYaml shipped(String name) {
    try (InputStream in = TaskYaml.class.getResourceAsStream("/eval/" + name + ".yaml")) {
      if (in == null) {
        throw new EvalException(
            "task '%s' is no file, and the tasks that come with Chorale are %s"
                .formatted(name, SHIPPED));
      }
      Path file = Path.of(name + ".yaml");
      return new TaskYaml(file, parse(file, new String(in.readAllBytes(), UTF_8)));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read the task " + name, e);
    }
  }

  private static Map<String, Object> read(Path file, Set<Path> open) {
    Path real = file.toAbsolutePath().normalize();
    if (!open.add(real)) {
      throw new EvalException(file + ": includes itself");
    }
    Map<String, Object> own;
    try {
      own = parse(file, Files.readString(file));
    } catch (IOException e) {
      throw new EvalException(file + ": cannot be read: " + e.getMessage(), e);
    }
    Map<String, Object> merged = new LinkedHashMap<>();
    Object include = own.remove("include");
    List<Object> includes = new ArrayList<>();
    if (include instanceof List<?> several) {
      includes.addAll(several);
    } else if (include != null) {
      includes.add(include);
    }
    for (Object each : includes) {
      Path included = real.resolveSibling(each.toString());
      if (!Files.isRegularFile(included)) {
        throw new EvalException("%s: include '%s' is not there".formatted(file, each));
      }
      merged.putAll(read(included, open));
    }
    merged.putAll(own);
    return merged;
  }

  private static Map<String, Object> parse(Path file, String text) {
    Object root;
    try {
      root = new Yaml(new Constructor(file)).load(new StringReader(text));
    } catch (MarkedYAMLException e) {
      int line = e.getProblemMark() == null ? 1 : e.getProblemMark().getLine() + 1;
      throw new EvalException("%s:%d: is no YAML: %s".formatted(file, line, e.getProblem()), e);
    }
    if (!(root instanceof Map<?, ?> map)) {
      throw new EvalException(file + ": is no YAML object, wanted a task or a group");
    }
    Map<String, Object> values = new LinkedHashMap<>();
    map.forEach((key, value) -> values.put(String.valueOf(key), value));
    return values;
  }

  EvalException failure(String key, String wanted) {
    return new EvalException(
        "%s: %s is %s, wanted %s".formatted(file, key, shown(values.get(key)), wanted));
  }

  private static String shown(Object value) {
    String text = String.valueOf(value);
    return text.length() > 60 ? text.substring(0, 60) + "..." : text;
  }

  /** Null if absent. */
  String string(String key) {
    Object value = values.get(key);
    if (value == null) {
      return null;
    }
    if (value instanceof Function function) {
      throw new EvalException(
          "%s: %s is !function %s, which is code of the harness; only process_docs of hellaswag is"
                  .formatted(function.place(), key, function.name())
              + " built in, write the others as templates");
    }
    if (!(value instanceof String text)) {
      throw failure(key, "a string");
    }
    return text;
  }

  /** The fallback if absent. */
  String string(String key, String fallback) {
    String value = string(key);
    return value == null ? fallback : value;
  }
}
