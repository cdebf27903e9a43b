package io.chorale.serve.openai;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.chorale.engine.TokenLogprobs;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** {@code text_completion}, whole and in chunks. */
record CompletionAnswers(AnswerFormat.Head head) implements AnswerFormat {

  /** The whole answer and, with a part of the text, a chunk. */
  record Completion(
      String id,
      String object,
      long created,
      String model,
      String systemFingerprint,
      List<TextChoice> choices,
      @JsonInclude(JsonInclude.Include.NON_NULL) Object usage) {}

  /** Text of one choice. */
  record TextChoice(String text, int index, Logprobs logprobs, String finishReason) {}

  /**
   * Parallel lists, one entry per token. {@code textOffset} counts characters from the start of the
   * choice's text; an entry is null where nothing precedes the token.
   */
  record Logprobs(
      List<String> tokens,
      List<Double> tokenLogprobs,
      List<Map<String, Double>> topLogprobs,
      List<Integer> textOffset) {}

  @Override
  public byte[] opening(Choice choice) {
    return null;
  }

  @Override
  public byte[] chunk(Choice choice, String text, List<Choice.Entry> entries, String finishReason) {
    Logprobs logprobs = entries.isEmpty() ? null : logprobs(entries);
    return bytes(
        List.of(new TextChoice(text, choice.index(), logprobs, finishReason)), head.usageSoFar());
  }

  @Override
  public byte[] usageChunk(Usage usage) {
    return bytes(List.of(), usage);
  }

  @Override
  public byte[] whole(List<Choice> choices, Usage usage) {
    List<TextChoice> all = new ArrayList<>();
    for (Choice choice : choices) {
      Logprobs logprobs = choice.wantsLogprobs() ? logprobs(choice.entries()) : null;
      all.add(new TextChoice(choice.text(), choice.index(), logprobs, choice.finishReason()));
    }
    return bytes(all, usage);
  }

  private byte[] bytes(List<TextChoice> choices, Object usage) {
    return AnswerFormat.bytes(
        new Completion(
            head.id(),
            "text_completion",
            head.created(),
            head.model(),
            head.systemFingerprint(),
            choices,
            usage));
  }

  private Logprobs logprobs(List<Choice.Entry> entries) {
    Logprobs lists =
        new Logprobs(new ArrayList<>(), new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    for (Choice.Entry entry : entries) {
      TokenLogprobs at = entry.logprobs();
      lists.tokens().add(head.tokenText(entry.tokenId()));
      lists.tokenLogprobs().add(at == null ? null : AnswerFormat.finite(at.logprob()));
      lists.topLogprobs().add(at == null ? null : top(at));
      lists.textOffset().add(entry.offset());
    }
    return lists;
  }

  private Map<String, Double> top(TokenLogprobs at) {
    Map<String, Double> top = new LinkedHashMap<>();
    for (int i = 0; i < at.topIds().length; i++) {
      // Two ids that are shown alike (parts of characters): the likelier one stands.
      top.putIfAbsent(head.tokenText(at.topIds()[i]), AnswerFormat.finite(at.topLogprobs()[i]));
    }
    top.putIfAbsent(head.tokenText(at.tokenId()), AnswerFormat.finite(at.logprob()));
    return top;
  }
}
