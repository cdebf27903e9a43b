package io.chorale.train.watch.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** report.html on disk: always a whole one, the last or the one before. One thread. */
public final class ReportFile {
  private final Path file;

  public ReportFile(Path file) {
    this.file = file;
  }

  /** Writes beside it, then moves there. */
  public void write(RunReport report) throws IOException {
    Path unfinished = file.resolveSibling("." + file.getFileName() + ".unfinished");
    Files.writeString(unfinished, report.html());
    Files.move(
        unfinished, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }
}
