package io.chorale.engine;

import io.chorale.sched.FinishReason;
import io.chorale.sched.SamplingParams;
import io.chorale.sched.draft.Drafting;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What an engine answers to the same questions with and without speculation. */
final class Answers {

  /** One request without its sink. */
  record Question(int[] prompt, int adapterKey, SamplingParams params) {
    Question with(SamplingParams other) {
      return new Question(prompt, adapterKey, other);
    }
  }

  private Answers() {}

  /** All at once, in the engine's own time. */
  static List<RecordingSink> of(EngineLoop engine, List<Question> questions, Drafting drafting)
      throws EngineBusyException {
    List<RecordingSink> sinks = new ArrayList<>();
    List<GenerationRequest> requests = new ArrayList<>();
    for (Question question : questions) {
      RecordingSink sink = new RecordingSink();
      sinks.add(sink);
      requests.add(
          new GenerationRequest(
              question.prompt(), question.adapterKey(), question.params(), drafting, sink));
    }
    engine.submit(requests);
    sinks.forEach(sink -> sink.await(600));
    return sinks;
  }

  /** Everything that a client can see, to the last bit of a log-probability. */
  static String seen(RecordingSink sink) {
    FinishReason reason = sink.await();
    StringBuilder text = new StringBuilder(reason + " " + sink.tokens + " " + sink.message);
    text.append(" of ").append(sink.usage.promptTokens());
    text.append(" and ").append(sink.usage.completionTokens());
    if (sink.prompt != null) {
      Arrays.stream(sink.prompt).forEach(each -> append(text, each));
    }
    sink.logprobs.forEach(each -> append(text, each));
    return text.toString();
  }

  private static void append(StringBuilder text, TokenLogprobs each) {
    if (each != null) {
      text.append('\n').append(each.tokenId()).append(' ').append(each.logprob());
      text.append(Arrays.toString(each.topIds())).append(Arrays.toString(each.topLogprobs()));
    }
  }
}
