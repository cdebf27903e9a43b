package io.chorale.text;

/**
 * A template called {@code raise_exception(...)}: the conversation does not suit the model. The
 * message is the template's own words, meant for the client.
 */
public final class TemplateRaisedException extends TemplateException {
  private static final long serialVersionUID = 1L;

  public TemplateRaisedException(String words) {
    super(words);
  }
}
