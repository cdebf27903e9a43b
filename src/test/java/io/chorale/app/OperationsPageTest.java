package io.chorale.app;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

/** docs/operations.md names what the sources have. */
class OperationsPageTest {
  private static final Path SERVE = Path.of("src/main/java/io/chorale/serve");

  private static TreeSet<String> notOnThePage(TreeSet<String> names) throws IOException {
    String page = Files.readString(Path.of("docs/operations.md"));
    names.removeIf(name -> page.contains("`" + name + "`"));
    return names;
  }

  private static TreeSet<String> inSources(Path folder, Pattern pattern) throws IOException {
    TreeSet<String> found = new TreeSet<>();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
        Matcher matcher = pattern.matcher(Files.readString(file));
        while (matcher.find()) {
          found.add(matcher.group(1));
        }
      }
    }
    return found;
  }

  @Test
  void everySettingIsOnThePage() throws Exception {
    // Given
    TreeSet<String> settings = new TreeSet<>();
    for (var option : new CommandLine(new ServeCommand()).getCommandSpec().options()) {
      if (!option.usageHelp() && !option.versionHelp()) {
        settings.add(option.longestName().substring(2));
      }
    }
    // Then
    assertEquals(new TreeSet<>(), notOnThePage(settings));
  }

  @Test
  void everyMetricIsOnThePage() throws Exception {
    // Given
    TreeSet<String> metrics =
        inSources(SERVE.resolve("ops"), Pattern.compile("\"(chorale_[a-z_]+)"));
    // Then
    assertEquals(new TreeSet<>(), notOnThePage(metrics));
  }

  @Test
  void everyErrorCodeOfTheAdapterRoutesIsOnThePage() throws Exception {
    // Given
    TreeSet<String> codes =
        inSources(SERVE.resolve("admin"), Pattern.compile("error\\(\\d+, \"([a-z_]+)\""));
    // Then
    assertEquals(new TreeSet<>(), notOnThePage(codes));
  }

  @Test
  void everyErrorCodeOfARequestIsOnThePage() throws Exception {
    // Given
    Pattern code =
        Pattern.compile(
            "(?:ApiError\\.invalid\\(\\s*[^,]+|new ApiError\\(\\s*\\d+,[^,]+,[^,]+),\\s*\"([a-z_]+)\"");
    // Then
    assertEquals(new TreeSet<>(), notOnThePage(inSources(SERVE, code)));
  }
}
