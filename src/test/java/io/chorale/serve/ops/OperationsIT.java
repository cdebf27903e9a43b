package io.chorale.serve.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.adapter.AdapterRegistry;
import io.chorale.adapter.RegisterOptions;
import io.chorale.serve.FakeEngine;
import io.chorale.serve.FakeEngine.Then;
import io.chorale.serve.Http;
import io.chorale.serve.ServeProfile;
import io.chorale.serve.Words;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import jakarta.inject.Inject;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

@QuarkusTest
@TestProfile(ServeProfile.class)
class OperationsIT {
  @Inject FakeEngine engine;
  @Inject AdapterRegistry adapters;
  @Inject EngineMeters engineMeters;

  @Test
  void healthIs503WhenTheEngineThreadIsDead() {
    for (String path : List.of("/health", "/health/live", "/health/ready")) {
      // When
      engine.say(Then.STOP);
      Http.Answer alive = Http.send("GET", path, null, null);
      engine.say(Then.DEAD);
      Http.Answer dead = Http.send("GET", path, null, null);
      engine.say(Then.STOP);
      // Then
      assertEquals(200, alive.status());
      assertEquals("ok", alive.json().path("status").asText());
      assertEquals(503, dead.status());
      assertEquals("engine_stopped", dead.json().path("status").asText());
    }
  }

  @Test
  void finishedRequestsAreCountedByAdapter() throws InterruptedException {
    // Given
    engine.say(Then.STOP, Words.letters("abc"));
    double before = requests();
    // When
    Http.chat("\"n\":2");
    // Then
    String metrics = "";
    for (int i = 0; i < 100 && requests() < before + 2; i++) { // the text is kept for a moment
      Thread.sleep(20);
    }
    metrics = Http.get("/metrics").body();
    assertEquals(before + 2, requests());
    for (String family :
        List.of(
            "chorale_prompt_tokens_total{adapter=\"tiny-base\"",
            "chorale_generated_tokens_total{adapter=\"tiny-base\"",
            "chorale_time_to_first_token_seconds_bucket{adapter=\"tiny-base\"",
            "chorale_inter_token_seconds_count{adapter=\"tiny-base\"",
            "chorale_sequences_waiting 3",
            "chorale_sequences_running 2",
            "chorale_kv_blocks{state=\"free\"} 70",
            "chorale_kv_blocks{state=\"cached\"} 10",
            "chorale_kv_blocks{state=\"used\"} 20",
            "chorale_engine_steps_total 1000",
            "chorale_preemptions_total 7",
            "chorale_drafted_tokens_total 500",
            "chorale_accepted_draft_tokens_total 300",
            "chorale_adapters_resident 1",
            "jvm_memory_used_bytes")) {
      assertTrue(metrics.contains("\n" + family), family + "\n" + metrics);
    }
  }

  @Test
  void gatewayFindsVllmsSeriesAndExactlyOneLoraInfo() {
    // Given
    int key = adapters.register("m1", Path.of("rslora"), RegisterOptions.REPLACE).adapterKey();
    StringBuilder out = new StringBuilder();
    // When
    engineMeters.render(out, 1_750_000_000);
    adapters.remove("m1");
    // Then
    String running = key == 1 ? "m1" : "";
    String waiting = key == 2 ? "m1" : "";
    for (String line :
        List.of(
            "vllm:num_requests_waiting 3",
            "vllm:num_requests_running 2",
            "vllm:kv_cache_usage_perc 0.200000",
            "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"100\"} 1",
            "vllm:lora_requests_info{max_lora=\"8\",running_lora_adapters=\"%s\",waiting_lora_adapters=\"%s\"} 1750000000"
                .formatted(running, waiting),
            "vllm:lora_adapter_loaded{adapter_name=\"m1\",level=\"cpu\",pinned=\"false\"} 1")) {
      assertTrue(out.toString().contains("\n" + line + "\n"), line + "\n" + out);
    }
    assertEquals(1, out.toString().lines().filter(l -> l.startsWith("vllm:lora_req")).count());
  }

  @Test
  void everyLineOfMetricsIsPrometheusTextAndNoFamilyIsDeclaredTwice() {
    // When
    Http.Answer answer = Http.send("GET", "/metrics", null, null, "Accept", "text/plain");
    // Then
    assertTrue(answer.header("content-type").startsWith("text/plain"));
    Set<String> declared = new HashSet<>();
    for (String line : answer.body().split("\n")) {
      assertTrue(
          line.matches("# (HELP|TYPE) \\S+ .*|# EOF|[a-zA-Z_:][\\w:]*(\\{.*\\})? \\S+"), line);
      if (line.startsWith("# TYPE ")) {
        assertTrue(declared.add(line.split(" ")[2]), line);
      }
    }
  }

  @Test
  void openApiDocumentHasEveryRouteAndNoDanglingReference() {
    // When
    Http.Answer answer = Http.send("GET", "/q/openapi?format=json", null, null);
    // Then
    JsonNode document = answer.json();
    for (String path :
        List.of(
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/models",
            "/v1/models/{id}",
            "/v1/load_lora_adapter",
            "/v1/unload_lora_adapter",
            "/admin/adapters",
            "/admin/adapters/{name}",
            "/health",
            "/metrics")) {
      assertFalse(document.path("paths").path(path).isMissingNode(), path + answer.body());
    }
    Matcher refs = Pattern.compile("\"\\$ref\"\\s*:\\s*\"#(/[^\"]+)\"").matcher(answer.body());
    int found = 0;
    while (refs.find()) {
      found++;
      assertFalse(document.at(refs.group(1)).isMissingNode(), refs.group(1));
    }
    assertTrue(found > 20, "references: " + found);
    assertEquals(
        "#/components/schemas/ChatCompletionRequest",
        document
            .at(
                "/paths/~1v1~1chat~1completions/post/requestBody/content/application~1json/schema/$ref")
            .asText());
  }

  @Test
  void swaggerUiIsServed() {
    // When
    Http.Answer answer = Http.send("GET", "/q/swagger-ui/", null, null);
    // Then
    assertEquals(200, answer.status());
    assertTrue(answer.body().contains("swagger-ui"));
  }

  private static double requests() {
    return Http.get("/metrics")
        .body()
        .lines()
        .filter(
            l ->
                l.startsWith("chorale_requests_total{adapter=\"tiny-base\",finish_reason=\"stop\""))
        .mapToDouble(l -> Double.parseDouble(l.substring(l.lastIndexOf(' ') + 1)))
        .sum();
  }
}
