package io.chorale.serve.ops;

import io.chorale.engine.TokenUsage;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import jakarta.enterprise.context.ApplicationScoped;
import java.time.Duration;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

/**
 * Counts and times of generated sequences, by adapter (the base under its own id). Written once per
 * token at most by a field update, and to the meters only at a sequence's first token and end.
 */
@ApplicationScoped
public class RequestMetrics {
  private static final Duration[] BUCKETS = {
    Duration.ofMillis(1),
    Duration.ofMillis(5),
    Duration.ofMillis(10),
    Duration.ofMillis(25),
    Duration.ofMillis(50),
    Duration.ofMillis(100),
    Duration.ofMillis(250),
    Duration.ofMillis(500),
    Duration.ofSeconds(1),
    Duration.ofMillis(2500),
    Duration.ofSeconds(5),
    Duration.ofSeconds(10),
    Duration.ofSeconds(30),
    Duration.ofSeconds(60)
  };

  private final MeterRegistry meters;
  private final ConcurrentMap<String, PerAdapter> perAdapter = new ConcurrentHashMap<>();

  RequestMetrics(MeterRegistry meters) {
    this.meters = meters;
  }

  /** A sequence is about to be submitted. */
  public Span started(String adapter) {
    return new Span(
        perAdapter.computeIfAbsent(adapter, name -> new PerAdapter(meters, name)),
        System.nanoTime());
  }

  /** Counts one load of an adapter: created, replaced or an error code. */
  public void adapterLoad(String outcome) {
    Counter.builder("chorale.adapter.loads")
        .description("Adapter registrations by outcome")
        .tag("outcome", outcome)
        .register(meters)
        .increment();
  }

  /** One sequence's clock. Confined to its request's context. */
  public static final class Span {
    private final PerAdapter adapter;
    private final long startedNs;
    private long firstNs;
    private long lastNs;
    private long tokens;

    private Span(PerAdapter adapter, long startedNs) {
      this.adapter = adapter;
      this.startedNs = startedNs;
    }

    /** A token arrived. */
    public void token() {
      lastNs = System.nanoTime();
      if (tokens++ == 0) {
        firstNs = lastNs;
        adapter.firstToken.record(Duration.ofNanos(firstNs - startedNs));
      }
    }

    /**
     * The sequence has ended.
     *
     * @param finishReason stop, length, abort or error
     */
    public void finished(String finishReason, TokenUsage usage) {
      adapter.finished(finishReason).increment();
      adapter.promptTokens.increment(usage.promptTokens());
      adapter.generatedTokens.increment(usage.completionTokens());
      if (tokens > 1) {
        adapter.interToken.record(Duration.ofNanos((lastNs - firstNs) / (tokens - 1)));
      }
    }
  }

  private static final class PerAdapter {
    private final MeterRegistry meters;
    private final String name;
    private final Counter promptTokens;
    private final Counter generatedTokens;
    private final Timer firstToken;
    private final Timer interToken;
    private final ConcurrentMap<String, Counter> finished = new ConcurrentHashMap<>();

    PerAdapter(MeterRegistry meters, String name) {
      this.meters = meters;
      this.name = name;
      this.promptTokens = counter("chorale.prompt.tokens", "Prompt tokens, cached ones included");
      this.generatedTokens = counter("chorale.generated.tokens", "Generated tokens");
      this.firstToken =
          timer("chorale.time.to.first.token", "From submission to a sequence's first token");
      this.interToken =
          timer("chorale.inter.token", "A sequence's mean time between tokens, once per sequence");
    }

    Counter finished(String reason) {
      return finished.computeIfAbsent(
          reason,
          r ->
              Counter.builder("chorale.requests")
                  .description("Finished sequences (n choices count n times) by reason")
                  .tag("adapter", name)
                  .tag("finish_reason", r)
                  .register(meters));
    }

    private Counter counter(String meter, String description) {
      return Counter.builder(meter).description(description).tag("adapter", name).register(meters);
    }

    private Timer timer(String meter, String description) {
      return Timer.builder(meter)
          .description(description)
          .tag("adapter", name)
          .serviceLevelObjectives(BUCKETS)
          .register(meters);
    }
  }
}
