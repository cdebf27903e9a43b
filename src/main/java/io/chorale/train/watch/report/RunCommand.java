package io.chorale.train.watch.report;

import java.util.Map;

/** The command that does a run again, for a POSIX shell. */
final class RunCommand {
  private RunCommand() {}

  /**
   * @param configuration values by flag name, with or without dashes; empty values are left out
   */
  static String of(Map<String, String> configuration) {
    StringBuilder command = new StringBuilder("./chorale train");
    configuration.forEach(
        (name, value) -> {
          String flag = name.startsWith("--") ? name : "--" + name;
          if (!value.isEmpty() && !flag.equals("--resume")) {
            command.append(" \\\n  ").append(flag).append(' ').append(quoted(value));
          }
        });
    return command.toString();
  }

  private static String quoted(String value) {
    return value.matches("[A-Za-z0-9_./:=,+@%-]+")
        ? value
        : "'" + value.replace("'", "'\\''") + "'";
  }
}
