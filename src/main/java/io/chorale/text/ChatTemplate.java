package io.chorale.text;

import io.chorale.text.jinja.Template;
import io.chorale.text.jinja.Template.Failure;
import io.chorale.text.jinja.Template.Kind;
import io.chorale.text.jinja.Template.Limits;
import java.time.Clock;
import java.util.Map;

/**
 * A Hugging Face chat template: Jinja source that turns a conversation into one prompt, rendered as
 * transformers 5.24 does.
 *
 * <p>The context holds what transformers passes: {@code messages}, {@code tools} and {@code
 * documents} (null if there are none, not absent), {@code add_generation_prompt}, {@code bos_token}
 * and the like. Its values are Map (String keys), List, String, Number, Boolean, null, and are
 * never changed. Numbers beyond 64 bits want BigInteger.
 *
 * <p>Immutable; any thread. A render is bounded in time, size and depth ({@link Limits}), so a
 * hostile template costs at most that. Parse once and keep it: parsing costs more than rendering.
 */
public final class ChatTemplate {
  private final Template template;
  private final Clock clock;
  private final Limits limits;

  private ChatTemplate(Template template, Clock clock, Limits limits) {
    this.template = template;
    this.clock = clock;
    this.limits = limits;
  }

  /**
   * Parses with the system's clock and time zone and {@link Limits#DEFAULT}.
   *
   * @throws TemplateException if the text is no template or uses a refused tag (include, import,
   *     from, extends, autoescape)
   */
  public static ChatTemplate parse(String jinjaSource) throws TemplateException {
    return parse(jinjaSource, Clock.systemDefaultZone(), Limits.DEFAULT);
  }

  /** Parses; {@code clock} is what {@code strftime_now} reads. */
  public static ChatTemplate parse(String jinjaSource, Clock clock, Limits limits)
      throws TemplateException {
    try {
      return new ChatTemplate(Template.parse(jinjaSource), clock, limits);
    } catch (Failure failure) {
      throw new TemplateException("chat template: " + failure.getMessage());
    }
  }

  /**
   * @throws TemplateRaisedException if the template called {@code raise_exception}
   * @throws TemplateException if it failed or met a limit
   */
  public String render(Map<String, Object> context) throws TemplateException {
    try {
      return template.render(context, clock, limits);
    } catch (Failure failure) {
      if (failure.kind() == Kind.RAISED) {
        throw new TemplateRaisedException(failure.words());
      }
      throw new TemplateException("chat template: " + failure.getMessage());
    }
  }
}
