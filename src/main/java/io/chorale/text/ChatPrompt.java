package io.chorale.text;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * A conversation to prompt ids, as transformers' {@code apply_chat_template(tokenize=True)}, with
 * one difference: the spelling of a control token inside a message, a tool or an extra argument
 * stays ordinary text. Only the template can open or close a turn.
 *
 * <p>How: a control token in a user's string has its first character masked ({@link UserTextMask})
 * while the template runs; what then still reads as a control token is the template's own. The rule
 * is that a control token whose first character came from a user is text. A template that builds
 * one around a user's string, such as {@code '<|' + role + '|>'}, keeps working; so a server has to
 * check roles.
 *
 * <p>Immutable, any thread.
 */
public final class ChatPrompt {
  private final Tokenizer tokenizer;
  private final ChatTemplate template;
  private final Map<String, Object> globals;

  /**
   * @param globals what the template sees in every call: {@code bos_token}, {@code eos_token}, ...
   */
  public ChatPrompt(Tokenizer tokenizer, ChatTemplate template, Map<String, Object> globals) {
    this.tokenizer = tokenizer;
    this.template = template;
    this.globals = new HashMap<>(globals); // may hold nulls: a model without BOS
  }

  /**
   * @param tools may be null: the template then sees none
   * @param extra further template arguments; they override {@code globals} but not the other
   *     parameters
   * @throws TemplateException if the template fails or refuses the conversation
   * @throws IllegalArgumentException naming the char index of a lone surrogate in the prompt
   */
  public int[] encode(
      List<Map<String, Object>> messages,
      List<Map<String, Object>> tools,
      boolean addGenerationPrompt,
      Map<String, Object> extra)
      throws TemplateException {
    Map<String, Object> given = new HashMap<>(extra);
    given.put("messages", messages.stream().map(ChatPrompt::tidied).toList());
    given.put("tools", tools);
    UserTextMask mask = new UserTextMask(tokenizer.controls(), given);
    Map<String, Object> context = new HashMap<>(globals);
    context.put("documents", null);
    given.forEach((name, value) -> context.put(name, mask.mask(value)));
    context.put("add_generation_prompt", addGenerationPrompt);
    String prompt = tokenizer.guard(template.render(context));
    return tokenizer.encode(mask.restore(prompt), false);
  }

  /**
   * A message as transformers hands it to the template: without null fields, and with the model's
   * thoughts under both names that templates ask for.
   */
  private static Map<String, Object> tidied(Map<String, Object> message) {
    Map<String, Object> tidy = new LinkedHashMap<>(message);
    tidy.values().removeIf(Objects::isNull);
    for (String name : new String[] {"reasoning_content", "thinking", "reasoning"}) {
      if (tidy.get(name) != null) {
        Object thoughts = tidy.get(name);
        tidy.put("reasoning_content", thoughts);
        tidy.putIfAbsent("thinking", thoughts);
        break;
      }
    }
    return tidy;
  }
}
