package io.chorale.app;

import java.io.PrintWriter;
import java.net.BindException;
import picocli.CommandLine.ExitCode;

/** Turns a failure into one message and an exit code. */
final class Failures {
  private Failures() {}

  /**
   * Prints one message: that of the first failure of our own on the way to the root cause, since it
   * was written for people, else the root cause's; and the stack trace if {@code verbose}.
   *
   * @return 2 for a {@link UsageException}, else 1
   */
  static int report(Throwable failure, boolean verbose, PrintWriter err) {
    if (verbose) {
      failure.printStackTrace(err);
    }
    Throwable told = failure;
    while (!isOwn(told) && told.getCause() != null && told.getCause() != told) {
      told = told.getCause();
    }
    err.println("chorale: " + message(told));
    err.flush();
    return told instanceof UsageException ? ExitCode.USAGE : ExitCode.SOFTWARE;
  }

  private static boolean isOwn(Throwable failure) {
    return failure.getClass().getName().startsWith("io.chorale.");
  }

  private static String message(Throwable failure) {
    String text = failure.getMessage();
    if (text == null || text.isBlank()) {
      return failure.getClass().getSimpleName() + " without a message; --verbose shows where";
    }
    if (failure instanceof BindException) {
      return text + "; is another server running? --port chooses another port";
    }
    boolean plain =
        isOwn(failure)
            || failure instanceof IllegalArgumentException
            || failure instanceof IllegalStateException;
    return plain ? text : failure.getClass().getSimpleName() + ": " + text;
  }
}
