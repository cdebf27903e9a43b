package io.chorale.train;

import io.chorale.train.data.ParsedRow;
import io.chorale.train.data.RecordFormat;
import io.chorale.train.data.Records;
import io.chorale.train.data.SftData;
import io.chorale.train.data.SftEncoder;
import io.chorale.train.data.SftExample;
import io.chorale.train.data.read.Finding;
import io.chorale.train.data.read.RawRow;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;

/**
 * What the rows of some files came to, each with the place it came from. Immutable.
 *
 * @param examples with at least one trained token each
 * @param sources {@code file:line} of each example
 * @param formats one line a file, its format and why it was taken
 * @param findings each dropped or cut row, by line
 * @param rows examples and dropped rows
 * @param sha256 of each file, by its path as given
 */
public record TrainRows(
    List<SftExample> examples,
    List<String> sources,
    List<String> formats,
    List<Finding> findings,
    int rows,
    Map<String, String> sha256) {
  private static final int AT_ONCE = 1024; // rows

  public TrainRows {
    examples = List.copyOf(examples);
    sources = List.copyOf(sources);
    formats = List.copyOf(formats);
    findings = List.copyOf(findings);
  }

  private record Encoded(long line, List<Finding> findings, Optional<SftExample> example) {}

  /**
   * Reads whole files; 8 bytes a token in memory. Rows are encoded by all of the common pool.
   *
   * @param format empty: told from the fields, for each file
   * @throws IOException if a file cannot be read
   * @throws IllegalArgumentException as {@link Records#open}
   */
  public static TrainRows load(List<Path> files, Optional<RecordFormat> format, SftEncoder encoder)
      throws IOException {
    List<SftExample> examples = new ArrayList<>();
    List<String> sources = new ArrayList<>();
    List<String> formats = new ArrayList<>();
    List<Finding> findings = new ArrayList<>();
    Map<String, String> sha256 = new LinkedHashMap<>();
    int rows = 0;
    for (Path file : files) {
      sha256.put(file.toString(), sha256(file));
      try (Records records = Records.open(file, format)) {
        formats.add(records.detection());
        for (List<RawRow> some = next(records); !some.isEmpty(); some = next(records)) {
          rows += some.size();
          for (Encoded row :
              some.parallelStream().map(r -> encode(file, records.parse(r), encoder)).toList()) {
            findings.addAll(row.findings());
            row.example().ifPresent(examples::add);
            row.example().ifPresent(e -> sources.add(file + ":" + row.line()));
          }
        }
      }
    }
    return new TrainRows(examples, sources, formats, findings, rows, sha256);
  }

  private static List<RawRow> next(Records records) throws IOException {
    List<RawRow> some = new ArrayList<>();
    for (RawRow row = records.next(); row != null; row = records.next()) {
      some.add(row);
      if (some.size() == AT_ONCE) {
        break;
      }
    }
    return some;
  }

  private static Encoded encode(Path file, ParsedRow row, SftEncoder encoder) {
    List<Finding> findings = new ArrayList<>(row.findings());
    if (row.conversation().isEmpty()) {
      return new Encoded(row.line(), findings, Optional.empty());
    }
    SftData.Outcome outcome = SftData.encode(file, row.line(), row.conversation().get(), encoder);
    findings.addAll(outcome.findings());
    return new Encoded(row.line(), findings, outcome.example());
  }

  private static String sha256(Path file) throws IOException {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      try (InputStream in = new DigestInputStream(Files.newInputStream(file), digest)) {
        in.transferTo(java.io.OutputStream.nullOutputStream());
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  /** Rows that gave no example. */
  public int dropped() {
    return rows - examples.size();
  }

  public int truncated() {
    return (int) examples.stream().filter(SftExample::truncated).count();
  }

  public long tokens() {
    return examples.stream().mapToLong(e -> e.ids().length).sum();
  }

  public long trainedTokens() {
    return examples.stream().mapToLong(SftExample::trainedTokens).sum();
  }

  /**
   * Parts some rows from the others; which ones follows from the seed. Both keep the file's order.
   *
   * @param share of the rows, 0 to 1; at least one row if more than 0
   * @return held out, then the others; findings and counts of dropped rows stay with the others
   */
  public List<TrainRows> split(double share, long seed) {
    int held = (int) Math.max(1, Math.round(share * examples.size()));
    boolean[] out = new boolean[examples.size()];
    int[] order = shuffled(examples.size(), new Random(seed));
    for (int i = 0; i < Math.min(held, order.length); i++) {
      out[order[i]] = true;
    }
    return List.of(where(out, true), where(out, false));
  }

  private TrainRows where(boolean[] out, boolean wanted) {
    List<SftExample> some = new ArrayList<>();
    List<String> from = new ArrayList<>();
    for (int i = 0; i < out.length; i++) {
      if (out[i] == wanted) {
        some.add(examples.get(i));
        from.add(sources.get(i));
      }
    }
    return wanted
        ? new TrainRows(some, from, formats, List.of(), some.size(), sha256)
        : new TrainRows(some, from, formats, findings, rows - (out.length - some.size()), sha256);
  }

  /** 0 .. count-1 in an order that follows from the generator (Fisher and Yates). */
  static int[] shuffled(int count, Random random) {
    int[] order = new int[count];
    for (int i = 0; i < count; i++) {
      int j = random.nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    return order;
  }
}
