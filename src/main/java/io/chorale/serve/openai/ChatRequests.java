package io.chorale.serve.openai;

import io.chorale.adapter.AdapterException;
import io.chorale.adapter.AdapterLease;
import io.chorale.adapter.AdapterRegistry;
import io.chorale.engine.Engine;
import io.chorale.engine.EngineBusyException;
import io.chorale.engine.GenerationRequest;
import io.chorale.serve.ApiError;
import io.chorale.serve.RequestFields;
import io.chorale.serve.ServedModel;
import io.chorale.serve.ops.RequestMetrics;
import io.chorale.text.TemplateException;
import io.chorale.text.TemplateRaisedException;
import io.smallrye.mutiny.Uni;
import io.smallrye.mutiny.infrastructure.Infrastructure;
import io.smallrye.mutiny.subscription.UniEmitter;
import io.vertx.core.Context;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.context.ApplicationScoped;
import jakarta.ws.rs.core.Response;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;

/**
 * From a body to submitted sequences: fields, lease, template, token ids, limits. Worker thread;
 * the engine takes all sequences of a request or none.
 */
@ApplicationScoped
class ChatRequests {
  static final String ADAPTER_HEADER = "x-chorale-adapter";

  private final Engine engine;
  private final AdapterRegistry adapters;
  private final ServedModel model;
  private final RequestMetrics metrics;
  private final int vocabSize;
  private volatile int longestTokenBytes;

  ChatRequests(Engine engine, AdapterRegistry adapters, ServedModel model, RequestMetrics metrics) {
    this.engine = engine;
    this.adapters = adapters;
    this.model = model;
    this.metrics = metrics;
    this.vocabSize = model.tokenizer().vocabSize();
  }

  /** A prompt and the text that an echo of it shows. */
  private record Prompt(int[] ids, String echo) {}

  /** What both routes need to start. */
  private record Job(
      SamplingFields sampling,
      List<Prompt> prompts,
      int logprobs,
      boolean promptLogprobs,
      String noun) {}

  Uni<Response> chat(byte[] body, RoutingContext rc) {
    return onWorker(client -> startChat(body, client), rc);
  }

  Uni<Response> complete(byte[] body, RoutingContext rc) {
    return onWorker(client -> startCompletion(body, client), rc);
  }

  /** Where the answer goes: the request's context and its response. */
  private record Client(Context context, HttpServerResponse response) {}

  /**
   * Starts a request on a worker thread and gives its answer as REST wants it. Called on the event
   * loop, where REST then registers its close handler before any byte can be written; that handler
   * cancels the Uni when the client hangs up.
   */
  private static Uni<Response> onWorker(Function<Client, ChatStream> start, RoutingContext rc) {
    Client client = new Client(Vertx.currentContext(), rc.response());
    return Uni.createFrom()
        .emitter(
            emitter -> {
              AtomicBoolean gone = new AtomicBoolean();
              AtomicReference<ChatStream> started = new AtomicReference<>();
              emitter.onTermination(
                  () -> {
                    gone.set(true);
                    Optional.ofNullable(started.get()).ifPresent(ChatStream::clientGone);
                  });
              Infrastructure.getDefaultExecutor()
                  .execute(
                      () -> {
                        try {
                          ChatStream stream = start.apply(client);
                          started.set(stream);
                          if (gone.get()) {
                            stream.clientGone();
                          }
                          forward(stream, emitter);
                        } catch (RuntimeException e) {
                          emitter.fail(e);
                        }
                      });
            });
  }

  private static void forward(ChatStream stream, UniEmitter<? super Response> emitter) {
    stream
        .answer()
        .whenComplete(
            (response, error) -> {
              if (error == null) {
                emitter.complete(response);
              } else {
                emitter.fail(error);
              }
            });
  }

  private ChatStream startChat(byte[] body, Client client) {
    ChatRequest request = ChatRequest.read(RequestFields.parse(body), vocabSize);
    AdapterLease lease = lease(request.sampling().model());
    return orRelease(
        lease,
        () -> {
          int[] ids = render(request);
          Job job =
              new Job(
                  request.sampling(),
                  List.of(new Prompt(ids, "")),
                  request.logprobs(),
                  false,
                  "messages");
          AnswerFormat.Head head = head("chatcmpl-", request.sampling(), lease);
          return submit(job, new ChatAnswers(head), head, lease, client);
        });
  }

  private ChatStream startCompletion(byte[] body, Client client) {
    CompletionRequest request = CompletionRequest.read(RequestFields.parse(body), vocabSize);
    AdapterLease lease = lease(request.sampling().model());
    return orRelease(
        lease,
        () -> {
          List<Prompt> prompts = new ArrayList<>();
          for (CompletionRequest.Prompt prompt : request.prompts()) {
            prompts.add(encode(prompt, request.echo()));
          }
          boolean promptLogprobs = request.echo() && request.logprobs() >= 0;
          Job job =
              new Job(request.sampling(), prompts, request.logprobs(), promptLogprobs, "prompt");
          AnswerFormat.Head head = head("cmpl-", request.sampling(), lease);
          return submit(job, new CompletionAnswers(head), head, lease, client);
        });
  }

  /** The adapter's current version for this request, or null for the base model. */
  private AdapterLease lease(String name) {
    if (!engine.stats().alive()) {
      throw ApiError.engineStopped();
    }
    if (name.equals(model.id())) {
      return null;
    }
    try {
      return adapters.lease(name);
    } catch (AdapterException e) {
      throw ApiError.modelNotFound(name);
    }
  }

  private interface Start {
    ChatStream run();
  }

  /** Until the engine has the sequences, whatever is thrown gives the lease back. */
  private static ChatStream orRelease(AdapterLease lease, Start start) {
    try {
      return start.run();
    } catch (RuntimeException e) {
      if (lease != null) {
        lease.close();
      }
      throw e;
    }
  }

  private int[] render(ChatRequest request) {
    if (model.chatPrompt() == null) {
      throw ApiError.invalid(
          "messages",
          "no_chat_template",
          "The model '%s' has no chat template; use /v1/completions.".formatted(model.id()));
    }
    long chars = 0;
    for (Map<String, Object> message : request.messages()) {
      chars += message.get("content") instanceof String text ? text.length() : 0;
    }
    refuseHopelesslyLong(chars, "messages");
    try {
      return model
          .chatPrompt()
          .encode(
              request.messages(), null, request.addGenerationPrompt(), request.templateArguments());
    } catch (TemplateRaisedException e) {
      throw ApiError.invalid("messages", "template_refused", e.getMessage());
    } catch (TemplateException e) {
      throw ApiError.invalid(
          "messages",
          "template_failed",
          "The chat template fails on these messages: " + e.getMessage());
    }
  }

  private Prompt encode(CompletionRequest.Prompt prompt, boolean echo) {
    int[] ids = prompt.ids();
    if (ids == null) {
      refuseHopelesslyLong(prompt.text().length(), "prompt");
      ids = withBos(model.tokenizer().encode(prompt.text(), true));
    }
    if (ids.length == 0) {
      throw ApiError.invalid(
          "prompt", "invalid_value", "'prompt' has no tokens, wanted at least one.");
    }
    String text = "";
    if (echo) {
      text = prompt.text() != null ? prompt.text() : model.tokenizer().decode(ids, true);
    }
    return new Prompt(ids, text);
  }

  private int[] withBos(int[] ids) {
    if (!model.addBos() || ids.length > 0 && ids[0] == model.bosTokenId()) {
      return ids;
    }
    int[] all = new int[ids.length + 1];
    all[0] = model.bosTokenId();
    System.arraycopy(ids, 0, all, 1, ids.length);
    return all;
  }

  private ChatStream submit(
      Job job, AnswerFormat format, AnswerFormat.Head head, AdapterLease lease, Client client) {
    List<Choice> choices = new ArrayList<>();
    SamplingFields sampling = job.sampling();
    ChatStream stream =
        new ChatStream(
            new ChatStream.Setup(
                format, head, choices, sampling.n(), sampling.stream(), lease, metrics),
            client.context(),
            client.response());
    List<GenerationRequest> sequences = new ArrayList<>();
    // A client that scores its prompt drops the one new token (lm-evaluation-harness: [:-1]), so
    // that token has to be reported even if it is an end token.
    boolean scoresPrompt = job.promptLogprobs() && sampling.maxTokens().orElse(0) == 1;
    Set<Integer> ends = scoresPrompt ? Set.of() : model.endTokenIds();
    for (Prompt prompt : job.prompts()) {
      boolean promptOnly = sampling.maxTokens().orElse(1) == 0;
      int budget = promptOnly ? 1 : budget(prompt.ids().length, sampling, job.noun());
      for (int i = 0; i < sampling.n(); i++) {
        Choice choice =
            new Choice(
                choices.size(),
                new Choice.Plan(
                    model.tokenizer(),
                    prompt.ids(),
                    prompt.echo(),
                    sampling.stops(),
                    sampling.minTokens(),
                    job.logprobs() >= 0,
                    promptOnly));
        choices.add(choice);
        sequences.add(
            new GenerationRequest(
                prompt.ids(),
                lease == null ? GenerationRequest.BASE : lease.adapterKey(),
                sampling.params(budget, i, job.logprobs(), job.promptLogprobs(), ends),
                sampling.drafting(),
                stream.sink(choice)));
      }
    }
    start(stream, sequences);
    return stream;
  }

  private void start(ChatStream stream, List<GenerationRequest> sequences) {
    try {
      stream.start(engine.submit(sequences));
    } catch (EngineBusyException e) {
      throw ApiError.busy(e.getMessage());
    } catch (IllegalStateException e) {
      throw ApiError.engineStopped();
    } catch (IllegalArgumentException e) {
      throw ApiError.invalid(null, "invalid_value", e.getMessage());
    }
  }

  /** Tokens that may be generated after a prompt of so many. */
  private int budget(int promptTokens, SamplingFields sampling, String noun) {
    int context = maxModelTokens();
    if (promptTokens >= context) {
      throw ApiError.invalid(
          noun,
          "context_length_exceeded",
          ("This model's maximum context length is %d tokens. However, your %s resulted in %d"
                  + " tokens. Please reduce the length of the %s.")
              .formatted(context, noun, promptTokens, noun));
    }
    int room = context - promptTokens;
    int wanted = sampling.maxTokens().orElse(room);
    if (wanted > room) {
      throw ApiError.invalid(
          noun,
          "context_length_exceeded",
          ("This model's maximum context length is %d tokens. However, you requested %d tokens (%d"
                  + " in the %s, %d in the completion). Please reduce the length of the %s or"
                  + " completion.")
              .formatted(context, (long) promptTokens + wanted, promptTokens, noun, wanted, noun));
    }
    return wanted;
  }

  /** Refuses text that cannot fit however it is cut, without cutting it. */
  private void refuseHopelesslyLong(long chars, String noun) {
    int longest = longestTokenBytes;
    if (longest == 0) {
      longest = 1;
      for (int id = 0; id < vocabSize; id++) {
        longest = Math.max(longest, model.tokenizer().tokenBytes(id).length);
      }
      longestTokenBytes = longest;
    }
    long least = (chars + longest - 1) / longest; // a character is at least a byte
    if (least > maxModelTokens()) {
      throw ApiError.invalid(
          noun,
          "context_length_exceeded",
          ("This model's maximum context length is %d tokens. However, your %s resulted in at least"
                  + " %d tokens. Please reduce the length of the %s.")
              .formatted(maxModelTokens(), noun, least, noun));
    }
  }

  private int maxModelTokens() {
    return Math.min(model.maxModelTokens(), engine.maxModelTokens());
  }

  private AnswerFormat.Head head(String prefix, SamplingFields sampling, AdapterLease lease) {
    String fingerprint = "fp_" + model.fingerprint().replaceFirst("^sha256:", "").substring(0, 10);
    return new AnswerFormat.Head(
        prefix + UUID.randomUUID().toString().replace("-", ""),
        System.currentTimeMillis() / 1000,
        sampling.model(),
        lease == null ? fingerprint : fingerprint + "-" + lease.ref(),
        sampling.includeUsage(),
        model.tokenizer());
  }
}
