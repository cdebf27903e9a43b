package io.chorale.adapter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Real kills: a child process registers, replaces and removes until it is destroyed. */
class KilledRegistryTest {
  private static final int KILLS = 6;

  @TempDir private Path temp;

  /** The child: prints each step that has returned, until it is killed. */
  static final class Child {
    private Child() {}

    public static void main(String[] args) {
      Path root = Path.of(args[0]);
      var registry =
          new AdapterRegistry(
              AdapterFolder.loader(), "base", List.of(root), Path.of(args[1]), key -> {});
      registry.startup(List.of());
      registry.register("one", Path.of("legal"), RegisterOptions.REPLACE);
      System.out.println("ready");
      while (true) {
        for (String name : List.of("one", "two")) {
          var info = registry.register(name, Path.of("legal"), RegisterOptions.REPLACE);
          System.out.println(info.ref());
        }
        registry.remove("one");
        System.out.println("one@0");
      }
    }
  }

  @Test
  void everyStepThatReturnedBeforeTheKillIsThereAfterTheRestart()
      throws IOException, InterruptedException {
    // Given
    Path root = Files.createDirectories(temp.resolve("root"));
    Path state = temp.resolve("state");
    new AdapterFolder().write(root.resolve("legal"));
    var random = new Random(7);
    int lastTwo = 0;
    for (int kill = 0; kill < KILLS; kill++) {
      // When
      lastTwo = Math.max(lastTwo, lastVersionOfTwo(runAndKill(root, state, random.nextInt(60))));
      var registry =
          new AdapterRegistry(AdapterFolder.loader(), "base", List.of(root), state, key -> {});
      RestoreReport report = registry.startup(List.of());
      // Then: the step under way may have happened or not, but nothing else
      assertEquals(List.of(), report.failed());
      int two = registry.find("two").map(AdapterInfo::version).orElse(0);
      assertTrue(two == lastTwo || two == lastTwo + 1, two + " after " + lastTwo);
      lastTwo = two;
    }
    assertTrue(lastTwo > 0, "no registration was reached");
  }

  private static int lastVersionOfTwo(List<String> steps) {
    return steps.stream()
        .filter(step -> step.startsWith("two@"))
        .mapToInt(step -> Integer.parseInt(step.substring(4)))
        .max()
        .orElse(0);
  }

  /**
   * The steps that the child had reported when it was killed, some milliseconds after its start.
   */
  private List<String> runAndKill(Path root, Path state, int afterMs)
      throws IOException, InterruptedException {
    Path steps = temp.resolve("steps");
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx128m",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName(),
                root.toString(),
                state.toString())
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .redirectOutput(steps.toFile())
            .start();
    try {
      while (child.isAlive() && !Files.readString(steps).startsWith("ready")) {
        Thread.sleep(2);
      }
      Thread.sleep(afterMs);
    } finally {
      child.destroyForcibly().waitFor();
    }
    return Files.readAllLines(steps);
  }
}
