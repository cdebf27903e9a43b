package io.chorale.serve.admin;

import io.chorale.adapter.AdapterException;
import io.chorale.adapter.AdapterException.Code;
import io.chorale.adapter.AdapterInfo;
import io.chorale.adapter.AdapterRegistry;
import io.chorale.adapter.RegisterOptions;
import io.chorale.adapter.push.Canary;
import io.chorale.adapter.push.UploadStore;
import io.chorale.engine.Engine;
import io.chorale.engine.EngineBusyException;
import io.chorale.engine.GenerationRequest;
import io.chorale.engine.TokenLogprobs;
import io.chorale.engine.TokenSink;
import io.chorale.engine.TokenUsage;
import io.chorale.sched.FinishReason;
import io.chorale.sched.SamplingParams;
import io.chorale.serve.ServedModel;
import jakarta.inject.Singleton;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Makes an uploaded adapter a name's new version, after the engine has scored the trainer's canary
 * with it. Until then, and if the canary fails, the name means what it did. Worker threads.
 */
@Singleton
final class PushedAdapters {
  private static final long SCORE_SECONDS = 60;

  private final AdapterRegistry adapters;
  private final UploadStore uploads;
  private final Engine engine;
  private final ServedModel model;

  PushedAdapters(AdapterRegistry adapters, UploadStore uploads, Engine engine, ServedModel model) {
    this.adapters = adapters;
    this.uploads = uploads;
    this.engine = engine;
    this.model = model;
  }

  /**
   * @param sha256 of the adapter's files; null: not compared
   * @throws AdapterException as the registry's, and CANARY_FAILED, BAD_UPLOAD; nothing has changed
   *     then, and the upload is gone
   */
  AdapterInfo register(String name, String upload, String sha256, RegisterOptions options) {
    adapters.requireName(name);
    Path folder = uploads.finish(upload, name);
    boolean kept = false;
    try {
      Optional<Canary> canary = Canary.read(folder);
      AdapterInfo info =
          adapters.register(
              name,
              folder.toAbsolutePath(),
              options,
              trial -> {
                requireSame(sha256, trial.sha256());
                canary.ifPresent(c -> sing(name, c, trial.adapterKey()));
              });
      kept = true;
      uploads.discardOthers(name, folder);
      return info;
    } catch (IOException | IllegalArgumentException e) {
      throw new AdapterException(
          Code.BAD_UPLOAD, "adapter '%s': chorale.json: %s".formatted(name, e.getMessage()), e);
    } finally {
      if (!kept) {
        uploads.discard(folder);
      }
    }
  }

  private static void requireSame(String wanted, String had) {
    if (wanted != null && !wanted.equals(had)) {
      throw new AdapterException(
          Code.BAD_UPLOAD,
          "the files that arrived have sha256 %s, wanted %s; upload them again"
              .formatted(had, wanted));
    }
  }

  /** Scores the canary's text with the adapter and holds it against the trainer's numbers. */
  private void sing(String name, Canary canary, int adapterKey) {
    for (int id : canary.ids()) {
      if (id >= model.tokenizer().vocabSize()) {
        throw failed(name, "token %d of its text is none of %s's".formatted(id, model.id()), null);
      }
    }
    Scored scored = new Scored();
    GenerationRequest request = new GenerationRequest(canary.ids(), adapterKey, scoring(), scored);
    try {
      engine.submit(List.of(request));
      TokenLogprobs[] prompt = scored.done.get(SCORE_SECONDS, TimeUnit.SECONDS);
      float[] served = new float[canary.logprobs().length];
      for (int i = 0; i < served.length; i++) {
        served[i] = prompt[i + 1].logprob();
      }
      canary
          .disagreement(served)
          .ifPresent(
              why -> {
                throw failed(name, why, null);
              });
    } catch (EngineBusyException e) {
      throw new AdapterException(Code.BUSY, "adapter '%s': %s".formatted(name, e.getMessage()), e);
    } catch (ExecutionException e) {
      throw failed(name, "scoring it failed: " + e.getCause().getMessage(), e);
    } catch (TimeoutException e) {
      throw new AdapterException(
          Code.BUSY,
          "adapter '%s': no answer to its canary in %d s; push it again when there is less load"
              .formatted(name, SCORE_SECONDS),
          e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AdapterException(Code.BUSY, "adapter '%s': interrupted".formatted(name), e);
    }
  }

  private static AdapterException failed(String name, String why, Exception cause) {
    return new AdapterException(
        Code.CANARY_FAILED,
        "adapter '%s' is not published, its canary failed: %s".formatted(name, why),
        cause);
  }

  private static SamplingParams scoring() {
    return new SamplingParams(0, 1, 0, 0, 1, 0, 0, Map.of(), 0, Set.of(), 1, 0, 0, true);
  }

  /** Waits for the prompt's log-probabilities and the end of the sequence. */
  private static final class Scored implements TokenSink {
    private final CompletableFuture<TokenLogprobs[]> done = new CompletableFuture<>();
    private TokenLogprobs[] prompt;

    @Override
    public void prompt(TokenLogprobs[] logprobs) {
      prompt = logprobs;
    }

    @Override
    public void token(int tokenId, TokenLogprobs logprobs) {}

    @Override
    public void finished(FinishReason reason, TokenUsage usage, String message) {
      if (prompt == null || reason == FinishReason.ERROR || reason == FinishReason.ABORT) {
        done.completeExceptionally(
            new IllegalStateException(message == null ? reason.toString() : message));
      } else {
        done.complete(prompt);
      }
    }
  }
}
