package io.chorale.serve.openai;

import io.chorale.engine.TokenLogprobs;
import io.chorale.engine.TokenUsage;
import io.chorale.sched.FinishReason;
import io.chorale.text.StopStrings;
import io.chorale.text.StreamingDetokenizer;
import io.chorale.text.Tokenizer;
import java.util.ArrayList;
import java.util.List;

/**
 * One generated answer on its way from token ids to text: whole characters only, cut at a stop
 * string, with the log-probabilities that belong to the text sent so far. Confined to the request's
 * context.
 */
final class Choice {
  /**
   * One token's log-probabilities.
   *
   * @param logprobs null for a prompt's first token, which nothing precedes
   * @param offset where its text begins, in characters of the answer
   */
  record Entry(int tokenId, TokenLogprobs logprobs, int offset) {}

  /**
   * How a choice becomes text.
   *
   * @param echo prompt text that the answer begins with; empty for none
   * @param minTokens before this many tokens no stop string counts
   * @param promptOnly the generated tokens are not wanted ({@code max_tokens} 0 with {@code echo})
   */
  record Plan(
      Tokenizer tokenizer,
      int[] promptIds,
      String echo,
      List<String> stops,
      int minTokens,
      boolean logprobs,
      boolean promptOnly) {}

  private final int index;
  private final Plan plan;
  private final StreamingDetokenizer detokenizer;
  private final StopStrings stops;
  private final StringBuilder text = new StringBuilder();
  private final List<Entry> entries = new ArrayList<>();

  private int decodedChars;
  private int entriesSent;
  private int generated;
  private boolean opened;
  private boolean closed;
  private boolean ended;
  private String finishReason;
  private TokenUsage usage;

  Choice(int index, Plan plan) {
    this.index = index;
    this.plan = plan;
    this.detokenizer = new StreamingDetokenizer(plan.tokenizer());
    this.stops = new StopStrings(plan.stops());
    this.decodedChars = plan.echo().length();
  }

  int index() {
    return index;
  }

  /** The first call is true: now is the time for a role or an echo. */
  boolean open() {
    boolean first = !opened;
    opened = true;
    return first;
  }

  /** The echoed prompt as text to send, or "". */
  String echo() {
    text.append(plan.echo());
    return plan.echo();
  }

  /** Takes the prompt's log-probabilities, in front of all others. */
  void prompt(TokenLogprobs[] logprobs) {
    StreamingDetokenizer prompt = new StreamingDetokenizer(plan.tokenizer());
    int offset = 0;
    for (int i = 0; i < logprobs.length; i++) {
      entries.add(
          new Entry(plan.promptIds()[i], logprobs[i], Math.min(offset, plan.echo().length())));
      offset += prompt.push(plan.promptIds()[i]).length();
    }
  }

  /** Takes one token; gives the text that may be sent now, often "". */
  String token(int id, TokenLogprobs logprobs) {
    generated++;
    if (plan.promptOnly()) {
      return "";
    }
    if (plan.logprobs() && logprobs != null) {
      entries.add(new Entry(id, logprobs, decodedChars));
    }
    String decoded = detokenizer.push(id);
    decodedChars += decoded.length();
    return append(generated <= plan.minTokens() ? decoded : stops.push(decoded));
  }

  private String append(String sendable) {
    text.append(sendable);
    if (stops.hit() && !closed) {
      closed = true;
      finishReason = "stop";
      entries.removeIf(e -> e.offset() >= text.length());
    }
    return sendable;
  }

  /** A stop string was found: nothing more is taken, the engine may drop the sequence. */
  boolean closed() {
    return closed;
  }

  /** The engine's end; gives the text that was held back. */
  String finish(FinishReason reason, TokenUsage tokens) {
    ended = true;
    usage =
        new TokenUsage(
            tokens.promptTokens(),
            tokens.cachedTokens(),
            plan.promptOnly() ? 0 : closed ? generated : tokens.completionTokens());
    if (closed) {
      return "";
    }
    String rest = "";
    if (!plan.promptOnly()) {
      rest = append(stops.push(detokenizer.flush()));
      if (!stops.hit()) {
        rest += append(stops.flush());
      }
    }
    closed = true;
    if (finishReason == null) {
      finishReason = reason == FinishReason.STOP && !plan.promptOnly() ? "stop" : "length";
    }
    return rest;
  }

  /** The engine has let go of the sequence. */
  boolean ended() {
    return ended;
  }

  String finishReason() {
    return finishReason;
  }

  /** Known once {@link #ended}. */
  TokenUsage usage() {
    return usage;
  }

  String text() {
    return text.toString();
  }

  List<Entry> entries() {
    return entries;
  }

  /** Log-probabilities of the text sent since the last call; at the end all that are left. */
  List<Entry> takeEntries() {
    int to = entriesSent;
    while (to < entries.size() && (closed || entries.get(to).offset() < text.length())) {
      to++;
    }
    List<Entry> taken = List.copyOf(entries.subList(Math.min(entriesSent, to), to));
    entriesSent = to;
    return taken;
  }

  boolean wantsLogprobs() {
    return plan.logprobs();
  }
}
