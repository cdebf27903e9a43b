package io.chorale.train.data.check;

import io.chorale.train.data.ParsedRow;
import io.chorale.train.data.Records;
import io.chorale.train.data.SftData;
import io.chorale.train.data.SftEncoder;
import io.chorale.train.data.SftExample;
import io.chorale.train.data.read.Finding;
import io.chorale.train.data.read.RawRow;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Looks at every row of data files and tells what is wrong where. The files are streamed: rows are
 * read by one thread, looked at by all of the common pool, compared and written in order. Memory:
 * fingerprints of rows ({@link Repeats}), findings, 4 bytes a row for lengths.
 */
public final class DataCheck {
  private static final int BATCH = 1024; // rows

  private final CheckOptions options;
  private final Optional<SftEncoder> encoder;
  private final TextCheck texts;
  private final Progress progress;

  private final List<String> formats = new ArrayList<>();
  private final List<Finding> findings = new ArrayList<>();
  private final Repeats seen = new Repeats(false);
  private final Repeats evaluated = new Repeats(true);
  private int rows;
  private int kept;
  private int[] lengths = new int[1024];
  private int counted;
  private long trained;
  private long used;
  private int truncated;

  /** Told now and then, on the calling thread. */
  public interface Progress {
    void at(Path file, int rows, long bytesRead);
  }

  /** All that can be said of a row without the others. */
  private record Looked(
      ParsedRow row, List<Finding> findings, Optional<SftExample> example, Repeats.Print print) {
    boolean right() {
      return findings.stream().noneMatch(f -> f.kind().error());
    }
  }

  /**
   * @param encoder empty: no tokens are counted and no labels looked at
   * @param controls spellings of control tokens that no text should have; empty: the usual ones
   */
  public DataCheck(
      CheckOptions options,
      Optional<SftEncoder> encoder,
      List<String> controls,
      Progress progress) {
    this.options = options;
    this.encoder = encoder;
    this.texts = new TextCheck(options, controls.isEmpty() ? TextCheck.USUAL_CONTROLS : controls);
    this.progress = progress;
  }

  /**
   * Once for each object.
   *
   * @throws IOException if a file cannot be read or the cleaned one written
   * @throws IllegalArgumentException if a file is of no kind or format that is read
   */
  public DataReport run() throws IOException {
    if (options.evalData().isPresent()) {
      look(options.evalData().get(), this::takeEvaluation);
    }
    if (options.cleanTo().isEmpty()) {
      for (Path file : options.files()) {
        look(file, (path, looked) -> takeTraining(path, looked));
      }
      return report();
    }
    try (CleanFile clean = new CleanFile(options.cleanTo().get())) {
      for (Path file : options.files()) {
        look(
            file,
            (path, looked) -> {
              if (takeTraining(path, looked)) {
                clean.write(looked.row().fields().orElseThrow());
              }
            });
      }
      clean.keep();
    }
    return report();
  }

  private DataReport report() {
    int[] sorted = Arrays.copyOf(lengths, counted);
    Arrays.sort(sorted);
    return new DataReport(
        formats,
        findings,
        rows,
        kept,
        new DataReport.TokenCounts(sorted, trained, used, truncated));
  }

  private interface Taker {
    void take(Path file, Looked looked) throws IOException;
  }

  private void look(Path file, Taker taker) throws IOException {
    try (Records records = Records.open(file, options.format())) {
      formats.add(records.detection());
      List<RawRow> batch = new ArrayList<>();
      int done = 0;
      for (RawRow row = records.next(); row != null; ) {
        batch.add(row);
        row = records.next();
        if (row == null || batch.size() == BATCH) {
          for (Looked looked :
              batch.parallelStream().map(raw -> look(file, records.parse(raw))).toList()) {
            taker.take(file, looked);
          }
          done += batch.size();
          batch.clear();
          progress.at(file, done, records.bytesRead());
        }
      }
    }
  }

  private Looked look(Path file, ParsedRow row) {
    List<Finding> found = new ArrayList<>(row.findings());
    row.texts().forEach(text -> found.addAll(texts.check(file, row.line(), text)));
    boolean right = found.stream().noneMatch(f -> f.kind().error());
    if (!right || row.conversation().isEmpty()) {
      return new Looked(row, found, Optional.empty(), null);
    }
    Optional<SftExample> example = Optional.empty();
    if (encoder.isPresent()) {
      SftData.Outcome outcome =
          SftData.encode(file, row.line(), row.conversation().get(), encoder.get());
      found.addAll(outcome.findings());
      example = outcome.example();
    }
    return new Looked(row, found, example, Repeats.print(row.conversation().get()));
  }

  private void takeEvaluation(Path file, Looked looked) {
    findings.addAll(looked.findings());
    if (looked.print() != null) {
      evaluated.add(file, looked.row().line(), looked.print());
    }
  }

  /** True if the row is kept. */
  private boolean takeTraining(Path file, Looked looked) {
    rows++;
    findings.addAll(looked.findings());
    if (looked.print() == null || !looked.right()) {
      return false;
    }
    Optional<Finding> repeat = evaluated.find(file, looked.row().line(), looked.print());
    if (repeat.isEmpty()) {
      repeat = seen.find(file, looked.row().line(), looked.print());
    }
    repeat.ifPresent(findings::add);
    if (repeat.isPresent() && repeat.get().kind().error()) {
      return false;
    }
    seen.add(file, looked.row().line(), looked.print());
    looked.example().ifPresent(this::count);
    kept++;
    return true;
  }

  private void count(SftExample example) {
    if (counted == lengths.length) {
      lengths = Arrays.copyOf(lengths, 2 * counted);
    }
    lengths[counted++] = example.fullTokens();
    used += example.ids().length;
    trained += example.trainedTokens();
    truncated += example.truncated() ? 1 : 0;
  }
}
