package io.chorale.text;

/**
 * A chat template that cannot be parsed or rendered. The message says what was met and what was
 * wanted, and ends with {@code at line:column} of the template where that is known.
 */
public class TemplateException extends Exception {
  private static final long serialVersionUID = 1L;

  public TemplateException(String message) {
    super(message);
  }
}
