package io.chorale.train.data;

import java.util.List;
import java.util.Locale;
import java.util.Map;

/** How a conversation becomes text. */
public enum PromptForm {
  /** The model's own chat template, as the server renders it. */
  CHAT_TEMPLATE,
  /** {@code ### Instruction:}, {@code ### Input:}, {@code ### Response:}. */
  INSTRUCTION;

  public String label() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /**
   * What the instruction form puts before an answer: all since the answer before it, then {@code
   * ### Response:} and a line feed.
   *
   * @param until index of the answer among the messages
   */
  static String instructionText(Conversation conversation, int until) {
    StringBuilder text = new StringBuilder();
    List<Map<String, Object>> messages = conversation.messages();
    int start = previousAnswer(messages, until) + 1;
    for (Map<String, Object> message : messages.subList(start, until)) {
      String content = String.valueOf(message.get("content"));
      switch (String.valueOf(message.get("role"))) {
        case "user" -> text.append(userText(conversation, content));
        case "tool" -> text.append("### Input:\n").append(content).append("\n\n");
        default -> text.append(content).append("\n\n");
      }
    }
    return text.append("### Response:\n").toString();
  }

  private static String userText(Conversation conversation, String content) {
    if (conversation.instruction() == null) {
      return "### Instruction:\n" + content + "\n\n";
    }
    String input = conversation.input();
    return "### Instruction:\n"
        + conversation.instruction()
        + (input.isEmpty() ? "" : "\n\n### Input:\n" + input)
        + "\n\n";
  }

  private static int previousAnswer(List<Map<String, Object>> messages, int before) {
    int i = before - 1;
    while (i >= 0 && !"assistant".equals(messages.get(i).get("role"))) {
      i--;
    }
    return i;
  }
}
