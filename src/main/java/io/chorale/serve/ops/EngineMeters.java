package io.chorale.serve.ops;

import io.chorale.adapter.AdapterInfo;
import io.chorale.adapter.AdapterRegistry;
import io.chorale.engine.Engine;
import io.chorale.engine.EngineStats;
import jakarta.enterprise.context.ApplicationScoped;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;

/**
 * The engine's state as Prometheus text, rendered from one snapshot so that a scrape's numbers
 * belong together: {@code free + cached + used = total} holds in it.
 *
 * <p>Twice: as {@code chorale_*}, and under the names that the Gateway API inference extension
 * reads from vLLM (a colon in a name is why this is not left to Micrometer). {@code
 * vllm:lora_requests_info} has exactly one series, whose value is the time.
 */
@ApplicationScoped
class EngineMeters {
  private final Engine engine;
  private final AdapterRegistry adapters;

  EngineMeters(Engine engine, AdapterRegistry adapters) {
    this.engine = engine;
    this.adapters = adapters;
  }

  void render(StringBuilder out, long nowEpochS) {
    EngineStats s = engine.stats();
    List<AdapterInfo> registered = adapters.list();
    ours(out, s, registered);
    gateway(out, s, registered, nowEpochS);
  }

  private static void ours(StringBuilder out, EngineStats s, List<AdapterInfo> registered) {
    gauge(out, "chorale_engine_alive", "1 while the engine thread runs", s.alive() ? 1 : 0);
    gauge(out, "chorale_sequences_running", "Sequences holding KV blocks", s.runningSequences());
    gauge(out, "chorale_sequences_waiting", "Sequences not admitted", s.waitingSequences());
    head(out, "chorale_kv_blocks", "gauge", "KV blocks by what they hold");
    line(out, "chorale_kv_blocks{state=\"free\"}", s.freeBlocks());
    line(out, "chorale_kv_blocks{state=\"cached\"}", s.cachedBlocks());
    line(out, "chorale_kv_blocks{state=\"used\"}", s.usedBlocks());
    gauge(out, "chorale_kv_block_tokens", "Positions per KV block", s.blockTokens());
    counter(out, "chorale_engine_steps_total", "Engine steps", s.steps());
    counter(out, "chorale_failed_steps_total", "Engine steps that failed", s.failedSteps());
    counter(out, "chorale_preemptions_total", "Sequences sent back to wait", s.preemptions());
    counter(
        out, "chorale_computed_prompt_tokens_total", "Prompt tokens computed", s.promptTokens());
    counter(
        out,
        "chorale_cached_prompt_tokens_total",
        "Prompt tokens from the prefix cache",
        s.cachedPromptTokens());
    counter(out, "chorale_sampled_tokens_total", "Tokens sampled", s.generatedTokens());
    counter(out, "chorale_drafted_tokens_total", "Guessed next tokens computed", s.draftedTokens());
    counter(
        out,
        "chorale_accepted_draft_tokens_total",
        "Guessed next tokens that were sampled",
        s.acceptedDraftTokens());
    head(out, "chorale_last_step_seconds", "gauge", "Duration of the last engine step");
    line(out, "chorale_last_step_seconds", s.lastStepMs() / 1000);
    gauge(out, "chorale_adapters_registered", "Adapter names registered", registered.size());
    gauge(
        out,
        "chorale_adapters_resident",
        "Adapter versions in a slot of the batch",
        s.residentAdapterKeys().size());
    gauge(out, "chorale_adapter_slots", "Adapter versions that fit in one batch", s.maxLoras());
    head(out, "chorale_adapter_leases", "gauge", "Requests that hold the current version");
    for (AdapterInfo adapter : registered) {
      line(out, "chorale_adapter_leases{adapter=\"" + adapter.name() + "\"}", adapter.leases());
    }
  }

  private static void gateway(
      StringBuilder out, EngineStats s, List<AdapterInfo> registered, long nowEpochS) {
    gauge(out, "vllm:num_requests_waiting", "Requests that wait", s.waitingSequences());
    gauge(out, "vllm:num_requests_running", "Requests in the batch", s.runningSequences());
    head(out, "vllm:kv_cache_usage_perc", "gauge", "Used share of the KV blocks, 0 to 1");
    line(
        out,
        "vllm:kv_cache_usage_perc",
        s.totalBlocks() == 0 ? 0 : (double) s.usedBlocks() / s.totalBlocks());
    head(out, "vllm:cache_config_info", "gauge", "Shape of the KV cache");
    line(
        out,
        "vllm:cache_config_info{block_size=\"%d\",num_gpu_blocks=\"%d\"}"
            .formatted(s.blockTokens(), s.totalBlocks()),
        1);
    Map<Integer, String> names = new HashMap<>();
    registered.forEach(a -> names.put(a.adapterKey(), a.name()));
    head(out, "vllm:lora_requests_info", "gauge", "Adapters of the batch and of the queue");
    line(
        out,
        "vllm:lora_requests_info{max_lora=\"%d\",running_lora_adapters=\"%s\",waiting_lora_adapters=\"%s\"}"
            .formatted(
                s.maxLoras(),
                String.join(",", named(s.residentAdapterKeys(), names)),
                String.join(",", named(s.waitingAdapterKeys(), names))),
        nowEpochS);
    head(out, "vllm:lora_adapter_loaded", "gauge", "Where an adapter's weights are");
    for (String name : named(s.residentAdapterKeys(), names)) {
      line(out, loaded(name, "gpu"), 1);
    }
    for (AdapterInfo adapter : registered) {
      line(out, loaded(adapter.name(), "cpu"), 1);
    }
  }

  private static String loaded(String name, String level) {
    return "vllm:lora_adapter_loaded{adapter_name=\"%s\",level=\"%s\",pinned=\"false\"}"
        .formatted(name, level);
  }

  /** Keys of retired versions have no name any more and are left out. */
  private static Collection<String> named(List<Integer> keys, Map<Integer, String> names) {
    TreeSet<String> sorted = new TreeSet<>();
    for (int key : keys) {
      if (names.containsKey(key)) {
        sorted.add(names.get(key));
      }
    }
    return sorted;
  }

  private static void gauge(StringBuilder out, String name, String help, long value) {
    head(out, name, "gauge", help);
    line(out, name, value);
  }

  private static void counter(StringBuilder out, String name, String help, long value) {
    head(out, name, "counter", help);
    line(out, name, value);
  }

  private static void head(StringBuilder out, String name, String type, String help) {
    out.append("# HELP ").append(name).append(' ').append(help).append('\n');
    out.append("# TYPE ").append(name).append(' ').append(type).append('\n');
  }

  private static void line(StringBuilder out, String series, double value) {
    out.append(series).append(' ');
    if (value == Math.rint(value) && Math.abs(value) < 1e15) {
      out.append((long) value);
    } else {
      out.append(String.format(Locale.ROOT, "%.6f", value));
    }
    out.append('\n');
  }
}
