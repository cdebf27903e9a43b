package io.chorale.serve;

import io.chorale.engine.Engine;
import io.chorale.engine.EngineBusyException;
import io.chorale.engine.EngineStats;
import io.chorale.engine.GenerationHandle;
import io.chorale.engine.GenerationRequest;
import io.chorale.engine.TokenLogprobs;
import io.chorale.engine.TokenUsage;
import io.chorale.sched.FinishReason;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** An engine that says what the test told it to, from threads of its own. */
public final class FakeEngine implements Engine {
  /** What happens after the scripted tokens. */
  public enum Then {
    STOP,
    LENGTH,
    /** Says nothing more until it is aborted. */
    HANG,
    /** The step fails with this message: kernel exploded. */
    FAIL,
    /** Does not even take the request: the queue is full. */
    BUSY,
    /** Is not running any more. */
    DEAD
  }

  public static final int CONTEXT = 256;
  public static final int CACHED = 2;

  private final ExecutorService thread =
      Executors.newCachedThreadPool(
          task -> {
            Thread t = new Thread(task, "fake-engine");
            t.setDaemon(true);
            return t;
          });
  private volatile int[][] script = {{}};
  private volatile Then then = Then.STOP;

  private final List<CountDownLatch> running = new CopyOnWriteArrayList<>();

  public final List<GenerationRequest> requests = new CopyOnWriteArrayList<>();
  public final List<Integer> aborted = new CopyOnWriteArrayList<>();
  public final List<Integer> retired = new CopyOnWriteArrayList<>();

  /** The i-th sequence from now on says script[i], the last script is repeated. */
  public void say(Then end, int[]... tokens) {
    then = end;
    script = tokens.length == 0 ? new int[][] {{}} : tokens;
    requests.clear();
    aborted.clear();
  }

  /** Lets go of everything that runs, as a server that is shut down does. */
  public static void abortAll(FakeEngine engine) {
    engine.running.forEach(CountDownLatch::countDown);
  }

  @Override
  public List<GenerationHandle> submit(List<GenerationRequest> submitted)
      throws EngineBusyException {
    if (then == Then.BUSY) {
      throw new EngineBusyException(64, 64);
    }
    if (then == Then.DEAD) {
      throw new IllegalStateException("the engine has stopped");
    }
    requests.addAll(submitted);
    List<GenerationHandle> handles = new ArrayList<>();
    for (int i = 0; i < submitted.size(); i++) {
      int index = i;
      CountDownLatch abort = new CountDownLatch(1);
      running.add(abort);
      handles.add(
          () -> {
            aborted.add(index);
            abort.countDown();
          });
      int[] tokens = script[Math.min(i, script.length - 1)];
      Then end = then;
      thread.execute(() -> run(submitted.get(index), tokens, end, abort));
    }
    return handles;
  }

  private static void run(GenerationRequest request, int[] tokens, Then end, CountDownLatch abort) {
    boolean logprobs = request.params().logprobs() >= 0;
    if (request.params().promptLogprobs()) {
      TokenLogprobs[] prompt = new TokenLogprobs[request.promptIds().length];
      for (int i = 1; i < prompt.length; i++) {
        prompt[i] = logprobs(request.promptIds()[i], request.params().logprobs());
      }
      request.sink().prompt(prompt);
    }
    for (int token : tokens) {
      request.sink().token(token, logprobs ? logprobs(token, request.params().logprobs()) : null);
    }
    FinishReason reason =
        switch (end) {
          case STOP, BUSY, DEAD -> FinishReason.STOP;
          case LENGTH -> FinishReason.LENGTH;
          case FAIL -> FinishReason.ERROR;
          case HANG -> FinishReason.ABORT;
        };
    if (end == Then.HANG) {
      try {
        abort.await();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    request
        .sink()
        .finished(
            reason,
            new TokenUsage(request.promptIds().length, CACHED, tokens.length),
            end == Then.FAIL ? "kernel exploded" : null);
  }

  /** -0.5 for the token itself; the alternatives are it and the ids after it. */
  private static TokenLogprobs logprobs(int token, int alternatives) {
    int[] ids = new int[alternatives];
    float[] values = new float[alternatives];
    for (int i = 0; i < alternatives; i++) {
      ids[i] = token + i;
      values[i] = -0.5f - i;
    }
    return new TokenLogprobs(token, -0.5f, ids, values);
  }

  @Override
  public void retire(int adapterKey) {
    retired.add(adapterKey);
  }

  @Override
  public EngineStats stats() {
    return new EngineStats(
        then != Then.DEAD,
        3,
        2,
        70,
        10,
        20,
        100,
        16,
        8,
        List.of(1),
        List.of(1),
        List.of(2),
        1000,
        5000,
        400,
        6000,
        500,
        300,
        7,
        1,
        12.5);
  }

  @Override
  public int maxModelTokens() {
    return CONTEXT;
  }
}
