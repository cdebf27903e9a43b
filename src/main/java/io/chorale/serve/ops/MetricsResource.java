package io.chorale.serve.ops;

import io.micrometer.prometheus.PrometheusMeterRegistry;
import io.smallrye.common.annotation.NonBlocking;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.responses.APIResponse;
import org.eclipse.microprofile.openapi.annotations.tags.Tag;

/**
 * {@code GET /metrics}: Prometheus text. Open to everyone. Gateways scrape up to 20 times a second,
 * so the text is made at most ten times a second however many ask.
 */
@Path("/metrics")
@NonBlocking
@Tag(name = "Operations")
class MetricsResource {
  private static final String TEXT = "text/plain; version=0.0.4; charset=utf-8";
  private static final long KEEP_NS = 100_000_000;

  private final PrometheusMeterRegistry meters;
  private final EngineMeters engine;
  private volatile Rendered last;

  private record Rendered(String text, long atNs) {}

  MetricsResource(PrometheusMeterRegistry meters, EngineMeters engine) {
    this.meters = meters;
    this.engine = engine;
  }

  @GET
  @Produces(TEXT)
  @Operation(operationId = "metrics", summary = "Prometheus metrics")
  @APIResponse(responseCode = "200", description = "Prometheus text, version 0.0.4")
  public String metrics() {
    Rendered rendered = last;
    if (rendered == null || System.nanoTime() - rendered.atNs() > KEEP_NS) {
      StringBuilder out = new StringBuilder(meters.scrape());
      engine.render(out, System.currentTimeMillis() / 1000);
      rendered = new Rendered(out.toString(), System.nanoTime());
      last = rendered;
    }
    return rendered.text();
  }
}
