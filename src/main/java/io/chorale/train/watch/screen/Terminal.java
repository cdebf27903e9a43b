package io.chorale.train.watch.screen;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** What is known of the terminal behind standard error. */
final class Terminal {
  private static final int USUAL_COLUMNS = 80;

  private Terminal() {}

  /**
   * Whether lines may be painted over: the launcher saw a terminal, and neither {@code NO_COLOR}
   * nor {@code TERM=dumb} asks for plain text.
   */
  static boolean repaints(Map<String, String> environment) {
    return Boolean.getBoolean("launcher.tty")
        && environment.getOrDefault("NO_COLOR", "").isEmpty()
        && !environment.getOrDefault("TERM", "dumb").equals("dumb");
  }

  /** {@code COLUMNS} if it is exported, else what stty says, else 80. */
  static int columns(Map<String, String> environment) {
    int told = number(environment.getOrDefault("COLUMNS", ""));
    if (told > 0) {
      return told;
    }
    try {
      Process stty = new ProcessBuilder("stty", "size").redirectInput(new File("/dev/tty")).start();
      if (!stty.waitFor(1, TimeUnit.SECONDS)) {
        stty.destroy();
        return USUAL_COLUMNS;
      }
      String size = new String(stty.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
      int columns = number(size.strip().replaceFirst(".* ", ""));
      return columns > 0 ? columns : USUAL_COLUMNS;
    } catch (IOException e) {
      return USUAL_COLUMNS; // no stty, or no terminal of our own
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return USUAL_COLUMNS;
    }
  }

  private static int number(String text) {
    try {
      return Integer.parseInt(text.strip());
    } catch (NumberFormatException e) {
      return 0;
    }
  }
}
