package io.chorale.train.config;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;

/**
 * The values that a flag takes. {@link #normal} refuses what it does not take and spells equal
 * values equally, so that runs can be compared by text.
 */
public final class FlagType {
  static final FlagType TEXT = new FlagType("TEXT", "text", false, s -> s.isBlank() ? null : s);
  static final FlagType PATH = new FlagType("PATH", "a path", false, s -> s.isBlank() ? null : s);
  static final FlagType SWITCH =
      new FlagType(
          "true|false",
          "true or false",
          false,
          s -> s.equalsIgnoreCase("true") || s.equalsIgnoreCase("false") ? lower(s) : null);

  /** After every epoch, after so many steps, or never. */
  static final FlagType CADENCE =
      new FlagType(
          "STEPS|epoch|never",
          "epoch, never, or steps from 1",
          false,
          s ->
              lower(s).matches("epoch|never") ? lower(s) : s.matches("[1-9][0-9]{0,8}") ? s : null);

  private final String label;
  private final String wanted;
  private final boolean many;
  private final Function<String, String> normalize;

  private FlagType(String label, String wanted, boolean many, Function<String, String> normalize) {
    this.label = label;
    this.wanted = wanted;
    this.many = many;
    this.normalize = normalize;
  }

  static FlagType whole(long least, long most) {
    String wanted =
        most == Long.MAX_VALUE || most == Integer.MAX_VALUE
            ? "a whole number from " + least
            : "a whole number from %d to %d".formatted(least, most);
    return new FlagType(
        "N",
        wanted,
        false,
        s -> {
          try {
            long value = Long.parseLong(s.strip().replace("_", ""));
            return value < least || value > most ? null : Long.toString(value);
          } catch (NumberFormatException e) {
            return null;
          }
        });
  }

  /** A number in an interval whose ends may be left out: {@code [0, 1)}, {@code (0, inf)}. */
  static FlagType number(String interval) {
    String[] ends = interval.substring(1, interval.length() - 1).split(", ");
    double least = Double.parseDouble(ends[0]);
    double most = ends[1].equals("inf") ? Double.MAX_VALUE : Double.parseDouble(ends[1]);
    boolean leastToo = interval.startsWith("[");
    boolean mostToo = interval.endsWith("]") || ends[1].equals("inf");
    String wanted =
        "a number "
            + (leastToo ? "from " : "above ")
            + ends[0]
            + (ends[1].equals("inf") ? "" : (mostToo ? " to " : " and below ") + ends[1]);
    return new FlagType(
        "X",
        wanted,
        false,
        s -> {
          try {
            double value = Double.parseDouble(s.strip());
            boolean in =
                (leastToo ? value >= least : value > least)
                    && (mostToo ? value <= most : value < most);
            return in ? Double.toString(value) : null;
          } catch (NumberFormatException e) {
            return null;
          }
        });
  }

  static FlagType choice(String... choices) {
    List<String> known = List.of(choices);
    return new FlagType(
        String.join("|", known),
        "one of " + known,
        false,
        s -> known.contains(lower(s)) ? lower(s) : null);
  }

  static FlagType matching(String regex, String wanted) {
    return new FlagType("NAME", wanted, false, s -> s.matches(regex) ? s : null);
  }

  /** Several values, each of one kind. */
  FlagType list() {
    return new FlagType(label, wanted, true, normalize);
  }

  /** {@code PATTERN=VALUE}, several; the last = parts them, since a pattern may hold one. */
  FlagType pairs() {
    return new FlagType(
        "PATTERN=" + label,
        "PATTERN=VALUE with " + wanted,
        true,
        s -> {
          int at = s.lastIndexOf('=');
          String value = at < 1 ? null : normalize.apply(s.substring(at + 1));
          return value == null ? null : s.substring(0, at) + "=" + value;
        });
  }

  public String label() {
    return label;
  }

  /** Whether the flag may be given several times. */
  public boolean many() {
    return many;
  }

  public boolean isSwitch() {
    return this == SWITCH;
  }

  /**
   * @throws IllegalArgumentException naming the flag, the value and what was wanted
   */
  List<String> normal(String flag, List<String> values) {
    List<String> normal = new ArrayList<>();
    for (String value : values) {
      String one = normalize.apply(value);
      if (one == null) {
        throw new IllegalArgumentException("%s is '%s', wanted %s".formatted(flag, value, wanted));
      }
      normal.add(one);
    }
    if (!many && normal.size() > 1) {
      throw new IllegalArgumentException(
          "%s is given %d times, wanted once".formatted(flag, normal.size()));
    }
    return normal;
  }

  /** The parts of {@link #pairs} values, in order. */
  static <V> Map<String, V> split(List<String> pairs, Function<String, V> value) {
    Map<String, V> map = new java.util.LinkedHashMap<>();
    for (String pair : pairs) {
      int at = pair.lastIndexOf('=');
      map.put(pair.substring(0, at), value.apply(pair.substring(at + 1)));
    }
    return map;
  }

  private static String lower(String value) {
    return value.strip().toLowerCase(Locale.ROOT);
  }
}
