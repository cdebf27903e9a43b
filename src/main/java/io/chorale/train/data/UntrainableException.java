package io.chorale.train.data;

import io.chorale.train.data.read.Finding;
import java.nio.file.Path;

/** A conversation that no example can be made of; carries what a finding needs. */
public final class UntrainableException extends Exception {
  private static final long serialVersionUID = 1L;

  private final Finding.Kind kind;
  private final String field;
  private final String fix;

  UntrainableException(Finding.Kind kind, String field, String reason, String fix) {
    super(reason);
    this.kind = kind;
    this.field = field;
    this.fix = fix;
  }

  public Finding finding(Path file, long line) {
    return new Finding(file, line, kind, field, getMessage(), fix);
  }
}
