package io.chorale.train.data;

import io.chorale.train.data.read.Finding;
import io.chorale.train.data.read.Finding.Kind;
import io.chorale.train.data.read.RawRow;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The examples of one file, and what became of every row that gave none: {@code rows ==
 * examples.size() + dropped}. Duplicates are not looked for; {@code data check} does.
 *
 * @param detection the format and why it was taken, for the log
 * @param findings each dropped or truncated row by line
 */
public record SftData(
    String detection, List<SftExample> examples, List<Finding> findings, int rows, int dropped) {

  public SftData {
    examples = List.copyOf(examples);
    findings = List.copyOf(findings);
  }

  /**
   * Reads a whole file. One thread; memory: 8 bytes a token.
   *
   * @param format empty: told from the fields
   * @throws IOException if the file cannot be read
   * @throws IllegalArgumentException as {@link Records#open}
   */
  public static SftData load(Path file, Optional<RecordFormat> format, SftEncoder encoder)
      throws IOException {
    List<SftExample> examples = new ArrayList<>();
    List<Finding> findings = new ArrayList<>();
    int rows = 0;
    try (Records records = Records.open(file, format)) {
      for (RawRow raw = records.next(); raw != null; raw = records.next()) {
        rows++;
        ParsedRow row = records.parse(raw);
        findings.addAll(row.findings());
        if (row.conversation().isPresent()) {
          Outcome outcome = encode(file, row.line(), row.conversation().get(), encoder);
          findings.addAll(outcome.findings());
          outcome.example().ifPresent(examples::add);
        }
      }
      return new SftData(records.detection(), examples, findings, rows, rows - examples.size());
    }
  }

  public int truncated() {
    return (int) examples.stream().filter(SftExample::truncated).count();
  }

  /**
   * What one conversation came to.
   *
   * @param example empty if a finding says why
   */
  public record Outcome(Optional<SftExample> example, List<Finding> findings) {}

  /** Encodes and judges one conversation. Any thread. */
  public static Outcome encode(
      Path file, long line, Conversation conversation, SftEncoder encoder) {
    List<Finding> findings = new ArrayList<>();
    try {
      SftExample example = encoder.encode(conversation);
      if (example.trainedTokens() == 0) {
        findings.add(
            new Finding(
                file,
                line,
                Kind.EMPTY_MASK,
                "",
                example.truncated()
                    ? "no answer is left in the first %d tokens".formatted(example.ids().length)
                    : "no token is trained on",
                "shorten what comes before the answer, or raise --max-seq-length"));
        return new Outcome(Optional.empty(), findings);
      }
      if (example.truncated()) {
        findings.add(
            new Finding(
                file,
                line,
                Kind.TRUNCATED,
                "",
                "has %d tokens, cut to %d".formatted(example.fullTokens(), example.ids().length),
                "raise --max-seq-length, or split the row"));
      }
      if (example.unendedTurn() >= 0) {
        findings.add(
            new Finding(
                file,
                line,
                Kind.NO_END_OF_TURN,
                "messages[" + example.unendedTurn() + "]",
                "the chat template writes no end token after the answer, so stopping is not learned",
                "use a template that ends turns, or --prompt-form instruction"));
      }
      return new Outcome(Optional.of(example), findings);
    } catch (UntrainableException e) {
      findings.add(e.finding(file, line));
      return new Outcome(Optional.empty(), findings);
    }
  }
}
