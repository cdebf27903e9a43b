package io.chorale.eval.score;

import io.chorale.eval.EvalException;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * Runs Python programs that a model wrote, each in a process and an empty folder of its own, which
 * are gone afterwards. Bounded: processor seconds, wall seconds, address space, file size, open
 * files, output. The environment holds PATH and HOME (the folder) only, standard input is empty,
 * the interpreter is isolated ({@code -I}). Where the kernel lets unprivileged users make
 * namespaces ({@code unshare}), there is no network, and processes it leaves behind are ended with
 * it.
 *
 * <p>This keeps accidents in; it is no wall against an attack: the program reads what the user can
 * read. Any thread.
 */
public final class Sandbox {
  private static final int CPU_S = 10;
  private static final long WALL_MS = 15_000;
  private static final long MEMORY_KIB = 1 << 20;
  private static final int FILE_BLOCKS = 16 * 1024; // of 512 bytes or 1 KiB, as the shell has it
  private static final int OUTPUT_BYTES = 1 << 16;

  private static final List<String> UNSHARE =
      List.of(
          "unshare", "--user", "--map-current-user", "--net", "--pid", "--fork", "--kill-child");

  private final String python;
  private final boolean unshare;

  private Sandbox(String python, boolean unshare) {
    this.python = python;
    this.unshare = unshare;
  }

  /**
   * What a program did.
   *
   * @param exit -1 if it was ended for time
   * @param output its standard output and error together, cut
   */
  record Outcome(int exit, String output) {}

  /**
   * Looks for the interpreter and for namespaces.
   *
   * @param python a command or a path
   * @throws EvalException if it does not run
   */
  public static Sandbox of(String python) {
    if (!works(List.of(python, "-I", "-c", "pass"))) {
      throw new EvalException(
          "the python scorer needs '%s' and it does not run; --python names another"
              .formatted(python));
    }
    List<String> probe = new ArrayList<>(UNSHARE);
    probe.addAll(List.of(python, "-I", "-c", "pass"));
    return new Sandbox(python, works(probe));
  }

  /** How far programs are kept in, for the report. */
  public String isolation() {
    return unshare
        ? "separate process, no network (namespaces), limits on time, memory and files"
        : "separate process, limits on time, memory and files; NETWORK REACHABLE (no unshare here)";
  }

  private static boolean works(List<String> command) {
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .redirectInput(new File("/dev/null"))
              .start();
      if (!process.waitFor(20, TimeUnit.SECONDS)) {
        end(process);
        return false;
      }
      return process.exitValue() == 0;
    } catch (IOException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  Outcome run(String program) {
    try {
      Path folder = Files.createTempDirectory("chorale-eval-");
      try {
        return run(program, folder);
      } finally {
        delete(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot run a program of the python scorer", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new EvalException("interrupted while a program ran", e);
    }
  }

  private Outcome run(String program, Path folder) throws IOException, InterruptedException {
    Path file = folder.resolve("program.py");
    Files.writeString(file, program);
    Path output = folder.resolve("output.txt");
    List<String> command = new ArrayList<>(unshare ? UNSHARE : List.of());
    command.addAll(
        List.of(
            "sh",
            "-c",
            // One limit a call, as dash wants it; a limit that cannot be set stops the program.
            ("ulimit -t %d && ulimit -v %d && ulimit -f %d && ulimit -n 64 && ulimit -c 0"
                    + " && exec \"$0\" -I -B \"$1\"")
                .formatted(CPU_S, MEMORY_KIB, FILE_BLOCKS),
            python,
            "program.py"));
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .redirectInput(new File("/dev/null"));
    Map<String, String> environment = builder.environment();
    String path = Optional.ofNullable(environment.get("PATH")).orElse("/usr/bin:/bin");
    environment.clear();
    environment.putAll(
        Map.of("PATH", path, "HOME", folder.toString(), "TMPDIR", folder.toString()));
    Process process = builder.start();
    boolean done;
    try {
      done = process.waitFor(WALL_MS, TimeUnit.MILLISECONDS);
    } finally {
      end(process);
    }
    return new Outcome(done ? process.exitValue() : -1, beginning(output));
  }

  private static void end(Process process) {
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
  }

  private static String beginning(Path file) throws IOException {
    try (var in = Files.newInputStream(file)) {
      return new String(in.readNBytes(OUTPUT_BYTES), StandardCharsets.UTF_8);
    }
  }

  private static void delete(Path folder) throws IOException {
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path dir, IOException e) throws IOException {
            Files.delete(dir);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
