package io.chorale.train.data;

import java.util.List;
import java.util.Map;

/**
 * What one row says, in the one shape that all formats come to.
 *
 * @param messages as a chat template wants them: {@code role}, {@code content}, perhaps {@code
 *     tool_calls} with arguments as objects; empty for plain text
 * @param tools null if there are none
 * @param text plain text, null for a conversation
 * @param instruction Alpaca's own field, null for other formats
 * @param input Alpaca's own field, empty if there is none, null for other formats
 */
public record Conversation(
    List<Map<String, Object>> messages,
    List<Map<String, Object>> tools,
    String text,
    String instruction,
    String input) {

  static Conversation plain(String text) {
    return new Conversation(List.of(), null, text, null, null);
  }

  static Conversation of(List<Map<String, Object>> messages, List<Map<String, Object>> tools) {
    return new Conversation(List.copyOf(messages), tools, null, null, null);
  }

  static Conversation alpaca(String system, String instruction, String input, String output) {
    String user = input.isEmpty() ? instruction : instruction + "\n\n" + input;
    Map<String, Object> question = Map.of("role", "user", "content", user);
    Map<String, Object> answer = Map.of("role", "assistant", "content", output);
    return new Conversation(
        system.isEmpty()
            ? List.of(question, answer)
            : List.of(Map.of("role", "system", "content", system), question, answer),
        null,
        null,
        instruction,
        input);
  }

  public boolean isAnswer(int message) {
    return "assistant".equals(messages.get(message).get("role"));
  }

  /** All before the last answer, with who said it; for plain text, the text. */
  public String question() {
    if (text != null) {
      return text;
    }
    StringBuilder said = new StringBuilder(tools == null ? "" : tools + "\n");
    for (Map<String, Object> message : messages.subList(0, messages.size() - 1)) {
      said.append(message.get("role")).append(": ").append(spoken(message)).append('\n');
    }
    return said.toString();
  }

  /** The last answer; empty for plain text. */
  public String answer() {
    return text != null ? "" : spoken(messages.get(messages.size() - 1));
  }

  /** Every word of it, without roles, tools and the system's part. */
  public String words() {
    if (text != null) {
      return text;
    }
    StringBuilder said = new StringBuilder();
    for (Map<String, Object> message : messages) {
      if (!"system".equals(message.get("role"))) {
        said.append(spoken(message)).append('\n');
      }
    }
    return said.toString();
  }

  private static String spoken(Map<String, Object> message) {
    Object content = message.get("content");
    Object calls = message.get("tool_calls");
    return (content == null ? "" : content) + (calls == null ? "" : " " + calls);
  }
}
