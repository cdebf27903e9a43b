package io.chorale.train.data.read;

import java.nio.file.Path;

/**
 * One defect of a data file, told so that it can be put right: where, which field, what is wrong,
 * what to do.
 *
 * @param line 1-based line where the row starts
 * @param field the field's path, {@code messages[2].content}; empty: the whole row
 */
public record Finding(Path file, long line, Kind kind, String field, String reason, String fix) {

  /** What becomes of the row that the finding is about. */
  public enum Effect {
    /** Used as it is. */
    KEPT,
    /** Used; the cleaned file has it put right. */
    REPAIRED,
    /** Neither trained on nor in the cleaned file. */
    DROPPED
  }

  /** What can be wrong. A row that is dropped is an error, anything else a warning. */
  public enum Kind {
    UNREADABLE(Effect.DROPPED),
    BAD_UTF8(Effect.DROPPED),
    BOM(Effect.REPAIRED),
    NOT_AN_OBJECT(Effect.DROPPED),
    MISSING_FIELD(Effect.DROPPED),
    NOT_A_STRING(Effect.DROPPED),
    EMPTY(Effect.DROPPED),
    TOO_SHORT(Effect.KEPT),
    TOO_LONG(Effect.KEPT),
    UNKNOWN_ROLE(Effect.DROPPED),
    TURN_ORDER(Effect.DROPPED),
    WHITESPACE(Effect.REPAIRED),
    CONTROL_CHARACTER(Effect.REPAIRED),
    LONE_SURROGATE(Effect.DROPPED),
    SPECIAL_TOKEN(Effect.KEPT),
    DUPLICATE(Effect.DROPPED),
    CONFLICT(Effect.KEPT),
    NEAR_DUPLICATE(Effect.KEPT),
    LEAK(Effect.DROPPED),
    NEAR_LEAK(Effect.DROPPED),
    TEMPLATE(Effect.DROPPED),
    TRUNCATED(Effect.KEPT),
    EMPTY_MASK(Effect.DROPPED),
    NO_END_OF_TURN(Effect.KEPT);

    private final Effect effect;

    Kind(Effect effect) {
      this.effect = effect;
    }

    public Effect effect() {
      return effect;
    }

    public boolean error() {
      return effect == Effect.DROPPED;
    }

    /** As it is printed: {@code near-duplicate}. */
    public String label() {
      return name().toLowerCase(java.util.Locale.ROOT).replace('_', '-');
    }
  }

  /** {@code file:line: kind: field: reason; fix}, one line. */
  public String text() {
    return "%s:%d: %s %s: %s%s; %s"
        .formatted(
            file,
            line,
            kind.error() ? "error" : "warning",
            kind.label(),
            field.isEmpty() ? "" : field + " ",
            reason,
            fix);
  }
}
