package io.chorale.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.train.watch.TrainEvent;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Kills training processes with SIGKILL wherever they are, checkpoints half written included, and
 * resumes them. {@code main} is the process that is killed; with a count as its only argument it
 * does that so often as one asks.
 */
class KilledRunIT {
  private static final int STEPS = 40;

  @TempDir Path folder;

  private static String[] flags(String optimizer) {
    boolean eightBit = optimizer.equals("adamw8bit");
    return new String[] {
      "max-steps", Integer.toString(STEPS),
      "eval-data", "held.jsonl",
      "eval-every", "5",
      "save-every", "2",
      "optimizer", optimizer,
      "paged", Boolean.toString(eightBit),
      "packing", Boolean.toString(eightBit),
      "max-seq-length", "24",
      "resume", "auto"
    };
  }

  /** Trains in this process: folder, optimizer. */
  public static void main(String... args) throws IOException, InterruptedException {
    if (args.length == 1) {
      Path place = Files.createTempDirectory("killed");
      for (String optimizer : List.of("adamw", "adamw8bit")) {
        int kills = killUntilDone(place.resolve(optimizer), optimizer, Integer.parseInt(args[0]));
        System.out.println(optimizer + ": the same bits after " + kills + " kills");
      }
      return;
    }
    Path place = Path.of(args[0]);
    try (TinyRun run =
        new TinyRun(
            TinyRun.flags(place, flags(args[1])),
            TinyRun.rows(18),
            Optional.of(TinyRun.rows(5)),
            event -> {
              if (event instanceof TrainEvent.Step step) {
                System.out.println("step " + step.step());
                System.out.flush();
              }
            })) {
      run.trainer.run();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"adamw", "adamw8bit"})
  void killedRunGivesTheBitsOfOneThatWasLeftAlone(String optimizer) throws Exception {
    // When, Then
    assertEquals(5, killUntilDone(folder, optimizer, 5));
  }

  private static int killUntilDone(Path folder, String optimizer, int kills)
      throws IOException, InterruptedException {
    main(folder.resolve("whole").toString(), optimizer);
    Random random = new Random(optimizer.hashCode());
    Path parts = folder.resolve("parts");
    int killed = 0;
    for (int kill = 0; kill < kills; kill++) {
      killed += killAfter(start(parts, optimizer), 1 + random.nextInt(4), random) ? 1 : 0;
    }
    Process last = start(parts, optimizer);
    String said = new String(last.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, last.waitFor(), said);
    assertTrue(said.contains("step " + STEPS), said);
    assertArrayEquals(
        Files.readAllBytes(folder.resolve("whole/out/adapter_model.safetensors")),
        Files.readAllBytes(parts.resolve("out/adapter_model.safetensors")));
    return killed;
  }

  private static Process start(Path folder, String optimizer) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
                "-Dorg.bytedeco.javacpp.maxBytes=0",
                "-Xmx256m",
                "-cp",
                System.getProperty("java.class.path"),
                KilledRunIT.class.getName(),
                folder.toString(),
                optimizer));
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }

  /** True if it was killed before its end: after so many steps and up to 20 ms. */
  private static boolean killAfter(Process process, int steps, Random random)
      throws IOException, InterruptedException {
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      int seen = 0;
      List<String> said = new ArrayList<>();
      while (seen < steps) {
        String line = lines.readLine();
        assertTrue(line != null, "the process ended by itself: " + said);
        said.add(line);
        seen += line.startsWith("step ") ? 1 : 0;
      }
      Thread.sleep(random.nextInt(20));
      process.destroyForcibly();
      return process.waitFor() == 128 + 9;
    }
  }
}
