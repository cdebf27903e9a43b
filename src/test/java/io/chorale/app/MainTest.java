package io.chorale.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class MainTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String... args) {
    return Main.execute(new PrintWriter(out, true), new PrintWriter(err, true), args);
  }

  @Test
  void helpNamesOnlyCommandsThatExist() {
    // When
    int code = run("--help");
    // Then
    assertEquals(0, code);
    assertTrue(out.toString().contains("  serve  "), out.toString());
    assertTrue(out.toString().contains("  train  "), out.toString());
    assertTrue(out.toString().contains("  plan  "), out.toString());
  }

  @Test
  void everyOptionOfServeIsAPropertyAndEveryPropertyAnOption() {
    // Given
    TreeSet<String> properties = new TreeSet<>();
    for (Method method : ChoraleConfig.class.getMethods()) {
      properties.add(kebab(method.getName()));
    }
    properties.remove("adapter-roots"); // one --adapter-root each
    properties.add("adapter-root");
    // When
    TreeSet<String> options = new TreeSet<>();
    new CommandLine(new ServeCommand())
        .getCommandSpec()
        .options()
        .forEach(o -> options.add(o.longestName().substring(2)));
    options.removeAll(List.of("help", "version"));
    // Then
    assertEquals(properties, options);
  }

  @Test
  void noCommandIsWrongUsageInOneLine() {
    // When
    int code = run();
    // Then
    assertEquals(2, code);
    assertEquals("chorale: no command given; chorale --help shows what there is\n", err.toString());
  }

  @Test
  void unknownOptionIsNamedAndTheCommandsHelpPointedTo() {
    // When
    int code = run("serve", "--prot", "1");
    // Then
    assertEquals(2, code);
    assertTrue(err.toString().contains("'--prot'"), err.toString());
    assertTrue(err.toString().contains("chorale serve --help"), err.toString());
  }

  @Test
  void wordInPlaceOfANumberIsWrongUsage() {
    // When
    int code = run("serve", "--port", "eight");
    // Then
    assertEquals(2, code);
    assertTrue(err.toString().contains("'--port': 'eight' is not an int"), err.toString());
  }

  @Test
  void versionIsPrintedWithTheCommandsName() {
    // When
    int code = run("--version");
    // Then
    assertEquals(0, code);
    assertTrue(out.toString().startsWith("chorale "), out.toString());
  }

  @Test
  void failureIsOneMessageWithoutStackTraceUnlessVerbose() {
    // Given
    var failure = new RuntimeException("outer", new UsageException("--x is 1, wanted 2"));
    // When
    int code = Failures.report(failure, false, new PrintWriter(err, true));
    Failures.report(failure, true, new PrintWriter(out, true));
    // Then
    assertEquals(2, code);
    assertEquals("chorale: --x is 1, wanted 2\n", err.toString());
    assertTrue(out.toString().contains("\tat "), out.toString());
  }

  @Test
  void failureThatIsNotOursIsToldWithItsKind() {
    // Given
    var failure = new IllegalStateException("start", new java.io.IOException("disk on fire"));
    // When
    int code = Failures.report(failure, false, new PrintWriter(err, true));
    // Then
    assertEquals(1, code);
    assertEquals("chorale: IOException: disk on fire\n", err.toString());
  }

  private static String kebab(String camel) {
    return String.join("-", Arrays.asList(Pattern.compile("(?=[A-Z])").split(camel)))
        .toLowerCase(java.util.Locale.ROOT);
  }
}
