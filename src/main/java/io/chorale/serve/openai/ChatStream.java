package io.chorale.serve.openai;

import io.chorale.adapter.AdapterLease;
import io.chorale.engine.GenerationHandle;
import io.chorale.engine.TokenLogprobs;
import io.chorale.engine.TokenSink;
import io.chorale.engine.TokenUsage;
import io.chorale.sched.FinishReason;
import io.chorale.serve.ApiError;
import io.chorale.serve.ops.RequestMetrics;
import io.vertx.core.Context;
import io.vertx.core.http.HttpServerResponse;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jboss.logging.Logger;

/**
 * One HTTP request's answer while it is generated: all its choices, its lease, its client.
 *
 * <p>Sinks only append to a queue; the request's context takes the events in order, makes text, and
 * sends. The lease is returned exactly once, when the engine has let go of every sequence, however
 * the request ends.
 */
final class ChatStream {
  private static final Logger LOG = Logger.getLogger(ChatStream.class);
  private static final byte[] DONE = "[DONE]".getBytes(StandardCharsets.UTF_8);

  private static final int EVENTS_AT_ONCE = 256;

  /** Unsent bytes of one stream before its client counts as gone. */
  static final int SSE_CAP_BYTES = 8 << 20;

  /**
   * What the answer is made of.
   *
   * @param lease null for the base model
   * @param choicesPerPrompt {@code n}
   */
  record Setup(
      AnswerFormat format,
      AnswerFormat.Head head,
      List<Choice> choices,
      int choicesPerPrompt,
      boolean streaming,
      AdapterLease lease,
      RequestMetrics metrics) {}

  /** One call of a sink; reason is null except at the end, prompt except at the start. */
  private record Event(
      Choice choice,
      RequestMetrics.Span span,
      int tokenId,
      TokenLogprobs logprobs,
      TokenLogprobs[] prompt,
      FinishReason reason,
      TokenUsage usage,
      String message) {}

  private final Setup setup;
  private final Context context;
  private final HttpServerResponse response;
  private final CompletableFuture<Response> answer = new CompletableFuture<>();
  private final Queue<Event> events = new ConcurrentLinkedQueue<>();
  private final AtomicBoolean scheduled = new AtomicBoolean();
  private volatile List<GenerationHandle> handles;
  private volatile boolean gone;

  private SseSink sse;
  private boolean answered;
  private int ended;

  ChatStream(Setup setup, Context context, HttpServerResponse response) {
    this.setup = setup;
    this.context = context;
    this.response = response;
  }

  /** Where the engine puts one choice's tokens. */
  TokenSink sink(Choice choice) {
    RequestMetrics.Span span = setup.metrics().started(setup.head().model());
    return new TokenSink() {
      @Override
      public void prompt(TokenLogprobs[] logprobs) {
        post(new Event(choice, span, -1, null, logprobs, null, null, null));
      }

      @Override
      public void token(int tokenId, TokenLogprobs logprobs) {
        post(new Event(choice, span, tokenId, logprobs, null, null, null, null));
      }

      @Override
      public void finished(FinishReason reason, TokenUsage usage, String message) {
        post(new Event(choice, span, -1, null, null, reason, usage, message));
      }
    };
  }

  /** The engine has taken the sequences; events that came before are handled now. */
  void start(List<GenerationHandle> submitted) {
    handles = submitted;
    if (gone) {
      submitted.forEach(GenerationHandle::abort);
    }
    schedule();
  }

  /** Completed with the body, with null once a stream has ended, or with an {@link ApiError}. */
  CompletableFuture<Response> answer() {
    return answer;
  }

  /** The client hung up. Any thread; after the answer it changes nothing. */
  void clientGone() {
    if (answer.isDone() || gone) {
      return;
    }
    gone = true;
    List<GenerationHandle> running = handles;
    if (running != null) {
      running.forEach(GenerationHandle::abort);
    }
    schedule();
  }

  private void post(Event event) {
    events.add(event);
    schedule();
  }

  private void schedule() {
    if (scheduled.compareAndSet(false, true)) {
      context.runOnContext(nothing -> drain());
    }
  }

  private void drain() {
    scheduled.set(false);
    if (handles == null) {
      return;
    }
    if (gone) {
      answered = true;
      if (sse != null) {
        sse.drop();
      }
      answer.complete(null);
    }
    for (int i = 0; i < EVENTS_AT_ONCE; i++) {
      Event event = events.poll();
      if (event == null) {
        return;
      }
      try {
        take(event);
      } catch (RuntimeException e) {
        LOG.error("an answer could not be written", e);
        fail(ApiError.internal("The server failed to write the answer; its log says why."));
      }
      if (event.reason() != null && ++ended == setup.choices().size()) {
        released();
      }
    }
    schedule(); // the loop's other requests, and our own writes, have their turn first
  }

  private void take(Event event) {
    Choice choice = event.choice();
    if (event.reason() != null) {
      takeEnd(event);
    } else if (!answered && !choice.closed()) {
      if (event.prompt() != null) {
        choice.prompt(event.prompt());
        return;
      }
      event.span().token();
      open(choice);
      send(choice, choice.token(event.tokenId(), event.logprobs()));
      if (choice.closed()) {
        handles.get(choice.index()).abort();
        sendEnd(choice);
      }
    }
  }

  private void takeEnd(Event event) {
    Choice choice = event.choice();
    boolean closedByUs = choice.closed();
    String rest = choice.finish(event.reason(), event.usage());
    boolean aborted = event.reason() == FinishReason.ABORT && !closedByUs;
    event
        .span()
        .finished(
            event.reason() == FinishReason.ERROR
                ? "error"
                : aborted ? "abort" : choice.finishReason(),
            choice.usage());
    if (answered) {
      return;
    }
    if (event.reason() == FinishReason.ERROR) {
      fail(ApiError.internal(event.message()));
    } else if (aborted) {
      fail(
          new ApiError(
              503, "server_error", null, "aborted", "The server stopped before the answer's end."));
    } else if (!closedByUs) {
      open(choice);
      send(choice, rest);
      sendEnd(choice);
    }
  }

  private void open(Choice choice) {
    if (!choice.open()) {
      return;
    }
    if (setup.streaming()) {
      byte[] opening = setup.format().opening(choice);
      if (opening != null) {
        sse().event(opening);
      }
    }
    send(choice, choice.echo());
  }

  private void send(Choice choice, String text) {
    if (setup.streaming() && !text.isEmpty()) {
      sse().event(setup.format().chunk(choice, text, choice.takeEntries(), null));
    }
  }

  private void sendEnd(Choice choice) {
    if (setup.streaming()) {
      sse().event(setup.format().chunk(choice, "", choice.takeEntries(), choice.finishReason()));
    }
  }

  /** Every sequence has left the engine. */
  private void released() {
    if (setup.lease() != null) {
      setup.lease().close();
    }
    LOG.debugf(
        "request finished id=%s model=%s choices=%d gone=%s",
        setup.head().id(), setup.head().model(), setup.choices().size(), gone);
    if (answered) {
      return;
    }
    answered = true;
    AnswerFormat.Usage usage = AnswerFormat.Usage.of(setup.choices(), setup.choicesPerPrompt());
    if (setup.streaming()) {
      if (setup.head().includeUsage()) {
        sse().event(setup.format().usageChunk(usage));
      }
      sse().event(DONE);
      sse().end();
    } else {
      answer.complete(
          headers(Response.ok(setup.format().whole(setup.choices(), usage)))
              .type(MediaType.APPLICATION_JSON_TYPE)
              .build());
    }
  }

  private void fail(ApiError error) {
    if (answered) {
      return;
    }
    answered = true;
    handles.forEach(GenerationHandle::abort);
    if (sse == null) {
      answer.completeExceptionally(error);
    } else {
      sse.event(AnswerFormat.bytes(error.body()));
      sse.end();
    }
  }

  private Response.ResponseBuilder headers(Response.ResponseBuilder builder) {
    return setup.lease() == null
        ? builder
        : builder.header(ChatRequests.ADAPTER_HEADER, setup.lease().ref().toString());
  }

  /** The head goes out with the first event, so that an earlier failure still gets its status. */
  private SseSink sse() {
    if (sse == null) {
      response.setStatusCode(200).setChunked(true);
      response.putHeader("Content-Type", "text/event-stream; charset=utf-8");
      response.putHeader("Cache-Control", "no-cache");
      response.putHeader("X-Accel-Buffering", "no");
      if (setup.lease() != null) {
        response.putHeader(ChatRequests.ADAPTER_HEADER, setup.lease().ref().toString());
      }
      sse = new SseSink(response, context, SSE_CAP_BYTES, this::streamEnded);
    }
    return sse;
  }

  private void streamEnded() {
    if (!answered) { // reset because the client does not read
      clientGone();
    }
    answer.complete(null);
  }
}
