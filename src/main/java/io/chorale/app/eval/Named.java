package io.chorale.app.eval;

import io.chorale.eval.EvalException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * {@code NAME=PATH} or a path alone, whose file name without its ending is then the name.
 *
 * @param name as tables show it
 * @param path as given
 */
record Named(String name, String path) {

  static Named of(String option, String text) {
    int equals = text.indexOf('=');
    boolean named = equals > 0 && !Files.exists(Path.of(text));
    String path = named ? text.substring(equals + 1) : text;
    if (path.isBlank()) {
      throw new EvalException("%s is '%s', wanted NAME=PATH or PATH".formatted(option, text));
    }
    if (named) {
      return new Named(text.substring(0, equals), path);
    }
    Path last = Path.of(path).getFileName();
    String name = last == null ? path : last.toString();
    return new Named(name.replaceFirst("\\.(jsonl|json|ya?ml|txt|md|gguf)$", ""), path);
  }

  /**
   * @throws EvalException if two have the same name
   */
  static Map<String, Path> paths(String option, List<String> texts) {
    Map<String, Path> paths = new LinkedHashMap<>();
    for (String text : texts) {
      Named named = of(option, text);
      if (paths.put(named.name(), Path.of(named.path())) != null) {
        throw new EvalException(
            "%s: two are called '%s'; NAME=PATH names them apart".formatted(option, named.name()));
      }
    }
    return paths;
  }
}
