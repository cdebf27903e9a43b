package io.chorale.serve.openai;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.chorale.engine.TokenLogprobs;
import java.util.ArrayList;
import java.util.List;

/** {@code chat.completion} and {@code chat.completion.chunk}. */
record ChatAnswers(AnswerFormat.Head head) implements AnswerFormat {

  /** One streamed object. */
  record Chunk(
      String id,
      String object,
      long created,
      String model,
      String systemFingerprint,
      List<ChunkChoice> choices,
      @JsonInclude(JsonInclude.Include.NON_NULL) Object usage) {}

  /** A choice's part of a chunk. */
  record ChunkChoice(int index, Delta delta, Logprobs logprobs, String finishReason) {}

  /** What is new. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Delta(String role, String content) {}

  /** The whole answer. */
  record Completion(
      String id,
      String object,
      long created,
      String model,
      String systemFingerprint,
      List<WholeChoice> choices,
      Usage usage) {}

  /** A whole choice. */
  record WholeChoice(int index, Message message, Logprobs logprobs, String finishReason) {}

  /** What the model said. */
  record Message(String role, String content, String refusal) {}

  /** One entry per token of the content. */
  record Logprobs(List<Token> content, List<Token> refusal) {}

  /** A token at its place, with the likeliest ones there. */
  record Token(String token, double logprob, List<Integer> bytes, List<Alternative> topLogprobs) {}

  /** A token that might have stood there. */
  record Alternative(String token, double logprob, List<Integer> bytes) {}

  @Override
  public byte[] opening(Choice choice) {
    return chunk(new ChunkChoice(choice.index(), new Delta("assistant", ""), null, null));
  }

  @Override
  public byte[] chunk(Choice choice, String text, List<Choice.Entry> entries, String finishReason) {
    return chunk(
        new ChunkChoice(
            choice.index(),
            new Delta(null, text.isEmpty() && finishReason != null ? null : text),
            entries.isEmpty() ? null : logprobs(entries),
            finishReason));
  }

  private byte[] chunk(ChunkChoice choice) {
    return AnswerFormat.bytes(
        new Chunk(
            head.id(),
            "chat.completion.chunk",
            head.created(),
            head.model(),
            head.systemFingerprint(),
            List.of(choice),
            head.usageSoFar()));
  }

  @Override
  public byte[] usageChunk(Usage usage) {
    return AnswerFormat.bytes(
        new Chunk(
            head.id(),
            "chat.completion.chunk",
            head.created(),
            head.model(),
            head.systemFingerprint(),
            List.of(),
            usage));
  }

  @Override
  public byte[] whole(List<Choice> choices, Usage usage) {
    List<WholeChoice> all = new ArrayList<>();
    for (Choice choice : choices) {
      all.add(
          new WholeChoice(
              choice.index(),
              new Message("assistant", choice.text(), null),
              choice.wantsLogprobs() ? logprobs(choice.entries()) : null,
              choice.finishReason()));
    }
    return AnswerFormat.bytes(
        new Completion(
            head.id(),
            "chat.completion",
            head.created(),
            head.model(),
            head.systemFingerprint(),
            all,
            usage));
  }

  private Logprobs logprobs(List<Choice.Entry> entries) {
    List<Token> tokens = new ArrayList<>();
    for (Choice.Entry entry : entries) {
      TokenLogprobs at = entry.logprobs();
      List<Alternative> top = new ArrayList<>();
      for (int i = 0; i < at.topIds().length; i++) {
        int id = at.topIds()[i];
        top.add(
            new Alternative(
                head.tokenText(id), AnswerFormat.finite(at.topLogprobs()[i]), head.tokenBytes(id)));
      }
      tokens.add(
          new Token(
              head.tokenText(entry.tokenId()),
              AnswerFormat.finite(at.logprob()),
              head.tokenBytes(entry.tokenId()),
              top));
    }
    return new Logprobs(tokens, null);
  }
}
