package io.chorale.train.config;

import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Every flag's value as normal text: given on the command line, else in YAML, else the usual one.
 * Immutable.
 */
public final class FlagValues {
  private final Map<Flag, List<String>> values;

  private FlagValues(Map<Flag, List<String>> values) {
    this.values = values;
  }

  /**
   * Normalizes and checks each value on its own.
   *
   * @param given wins
   * @param config what a YAML file says
   * @throws IllegalArgumentException naming the flag, the value and what was wanted
   */
  public static FlagValues of(Map<Flag, List<String>> given, Map<Flag, List<String>> config) {
    Map<Flag, List<String>> values = new EnumMap<>(Flag.class);
    for (Flag flag : Flag.values()) {
      List<String> raw = given.getOrDefault(flag, config.getOrDefault(flag, List.of()));
      if (raw.isEmpty()) {
        raw = flag.usual().map(List::of).orElse(List.of());
      }
      values.put(flag, flag.type().normal(flag.option(), names(flag, raw)));
    }
    return new FlagValues(values);
  }

  /** {@code a,b} is two names; anything that is not all names is a regular expression. */
  private static List<String> names(Flag flag, List<String> raw) {
    boolean modules = flag == Flag.TARGET_MODULES || flag == Flag.MODULES_TO_SAVE;
    return modules && raw.size() == 1 && raw.get(0).matches("[A-Za-z0-9_.-]+(,[A-Za-z0-9_.-]+)+")
        ? List.of(raw.get(0).split(","))
        : raw;
  }

  /** The same with other values for some flags. */
  public FlagValues with(Map<Flag, List<String>> changed) {
    Map<Flag, List<String>> all = new EnumMap<>(values);
    changed.forEach((flag, raw) -> all.put(flag, flag.type().normal(flag.option(), raw)));
    return new FlagValues(all);
  }

  public List<String> all(Flag flag) {
    return values.get(flag);
  }

  Optional<String> some(Flag flag) {
    return values.get(flag).stream().findFirst();
  }

  String text(Flag flag) {
    return some(flag).orElseThrow(() -> new IllegalStateException(flag + " has no value"));
  }

  int whole(Flag flag) {
    return Integer.parseInt(text(flag));
  }

  double number(Flag flag) {
    return Double.parseDouble(text(flag));
  }

  boolean on(Flag flag) {
    return Boolean.parseBoolean(text(flag));
  }

  /** Every flag that has a value, by its key, in the order of {@link Flag}; for people. */
  public Map<String, String> asText() {
    Map<String, String> text = new LinkedHashMap<>();
    values.forEach(
        (flag, list) -> {
          if (!list.isEmpty()) {
            text.put(flag.key(), String.join(", ", list));
          }
        });
    return text;
  }

  /** The values that must not change between a run and its resumption. */
  public Map<String, String> shaping() {
    Map<String, String> text = new LinkedHashMap<>();
    values.forEach(
        (flag, list) -> {
          if (flag.shapesTheResult()) {
            text.put(flag.key(), String.join(", ", list));
          }
        });
    return text;
  }
}
