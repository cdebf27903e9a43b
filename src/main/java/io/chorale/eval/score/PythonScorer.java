package io.chorale.eval.score;

import io.chorale.eval.EvalException;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Runs the answer's code and then the test's: right if all of it runs to its end. Code is the first
 * fenced block of the answer, or the answer whole. An early exit does not pass: the program's last
 * line says a word that is new each time.
 *
 * @param prefix code before the answer, such as imports; may be empty
 * @param test code after it, such as assertions
 */
record PythonScorer(Sandbox sandbox, String prefix, String test) implements Scorer {
  private static final Pattern FENCE =
      Pattern.compile(
          "```[ \\t]*(?:python|python3|py)?[ \\t]*\\r?\\n(.*?)(?:```|\\z)", Pattern.DOTALL);
  private static final int NOTE_CHARS = 300;

  PythonScorer {
    if (test.isBlank()) {
      throw new EvalException("scorer python: test is empty, wanted code such as assertions");
    }
  }

  @Override
  public String label() {
    return "python";
  }

  @Override
  public Verdict score(String answer, List<String> wanted) {
    String code = code(answer);
    String word = UUID.randomUUID().toString();
    List<String> parts = new ArrayList<>(List.of(prefix, code, test));
    parts.add("print(\"\\n%s\")".formatted(word));
    Sandbox.Outcome outcome = sandbox.run(String.join("\n", parts) + "\n");
    boolean right = outcome.exit() == 0 && outcome.output().strip().endsWith(word);
    return new Verdict(right ? 1 : 0, code, right ? null : note(outcome));
  }

  static String code(String answer) {
    Matcher fence = FENCE.matcher(answer);
    return fence.find() ? fence.group(1) : answer;
  }

  private static String note(Sandbox.Outcome outcome) {
    if (outcome.exit() < 0) {
      return "ended for time";
    }
    String[] lines = outcome.output().strip().split("\n");
    String last = lines[lines.length - 1].strip();
    String said = last.length() > NOTE_CHARS ? last.substring(0, NOTE_CHARS) : last;
    return "exit %d: %s".formatted(outcome.exit(), said);
  }
}
