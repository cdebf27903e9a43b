package io.chorale.train.data;

import io.chorale.train.data.read.Finding;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * One row, understood as far as it can be.
 *
 * @param line 1-based line where it starts
 * @param fields as the file has them; empty if unreadable
 * @param conversation empty if a finding of an error kind says why
 * @param texts every text in it, as far as the row could be taken apart
 * @param findings of reading and of understanding
 */
public record ParsedRow(
    long line,
    Optional<Map<String, Object>> fields,
    Optional<Conversation> conversation,
    List<Text> texts,
    List<Finding> findings) {
  public ParsedRow {
    texts = List.copyOf(texts);
    findings = List.copyOf(findings);
  }

  /**
   * @param field where it stands, {@code messages[2].content}
   * @param trained whether it is an answer, which the loss is taken over
   */
  public record Text(String field, String text, boolean trained) {}
}
