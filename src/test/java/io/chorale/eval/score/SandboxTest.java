package io.chorale.eval.score;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.eval.EvalException;
import io.chorale.eval.score.Sandbox.Outcome;
import io.chorale.eval.score.Scorer.Verdict;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The sandbox with a stand-in for the interpreter, so that no Python is needed: a shell script that
 * takes the same arguments and runs the program as shell; it understands {@code print("\nWORD")}.
 */
class SandboxTest {
  private static final String INTERPRETER =
      """
      #!/bin/sh
      [ "$2" = -c ] && exit 0
      print() { printf "$1\\n"; }
      sed 's/^print(\\(.*\\))$/print \\1/' "$3" > run.sh
      . ./run.sh
      """;

  @TempDir Path folder;
  private Sandbox sandbox;
  private Path interpreter;

  @BeforeEach
  void makeInterpreter() throws IOException {
    interpreter = folder.resolve("python");
    Files.writeString(interpreter, INTERPRETER);
    assertTrue(interpreter.toFile().setExecutable(true));
    sandbox = Sandbox.of(interpreter.toString());
  }

  @Test
  void programSeesItsOwnEmptyFolderAndNothingOfTheEnvironment() {
    // When
    Outcome outcome = sandbox.run("pwd; ls; env | cut -d= -f1 | sort");
    // Then
    List<String> lines = outcome.output().lines().toList();
    assertFalse(Files.exists(Path.of(lines.get(0))), "the folder is still there");
    assertTrue(outcome.output().contains("program.py"), outcome.output());
    List<String> names = lines.stream().filter(l -> l.matches("[A-Z_]+")).toList();
    assertFalse(names.contains("USER") || names.contains("JAVA_HOME"), outcome.output());
  }

  @Test
  void exitCodeAndOutputComeBack() {
    Outcome outcome = sandbox.run("echo hello; exit 3");
    assertEquals(3, outcome.exit());
    assertEquals("hello\n", outcome.output());
  }

  @Test
  void memoryBeyondTheLimitFailsTheProgramOnly() {
    Outcome outcome = sandbox.run("ulimit -v");
    assertEquals("1048576\n", outcome.output());
  }

  @Test
  void endlessLoopIsEndedByItsProcessorTime() {
    Outcome outcome = sandbox.run("ulimit -t 1; while :; do :; done");
    assertTrue(outcome.exit() != 0, "it ended by itself");
  }

  @Test
  void answerIsRightOnlyIfTheProgramReachesItsEnd() {
    // Given
    Scorer scorer = new PythonScorer(sandbox, "", "test \"$x\" = 1 || exit 1");
    // When
    Verdict right = scorer.score("Sure:\n```python\nx=1\n```\nDone.", List.of());
    Verdict wrong = scorer.score("x=2", List.of());
    Verdict early = scorer.score("x=1; exit 0", List.of());
    // Then
    assertEquals(1, right.score());
    assertEquals(0, wrong.score());
    assertEquals(0, early.score(), "an early exit passed");
  }

  @Test
  void interpreterThatDoesNotRunIsRefusedByName() {
    EvalException refused =
        assertThrows(EvalException.class, () -> Sandbox.of("no-such-interpreter"));
    assertTrue(refused.getMessage().contains("no-such-interpreter"), refused.getMessage());
  }

  @Test
  void codeOfAnUnclosedFenceReachesToTheEnd() {
    assertEquals("def f():\n  pass", PythonScorer.code("```python\ndef f():\n  pass"));
  }
}
