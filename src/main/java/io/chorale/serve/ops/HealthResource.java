package io.chorale.serve.ops;

import io.chorale.engine.Engine;
import io.chorale.engine.EngineStats;
import io.chorale.serve.ServedModel;
import io.smallrye.common.annotation.NonBlocking;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.media.Content;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.eclipse.microprofile.openapi.annotations.responses.APIResponse;
import org.eclipse.microprofile.openapi.annotations.tags.Tag;

/**
 * {@code GET /health}, {@code /health/live}, {@code /health/ready}: 200 while the engine thread
 * runs, else 503. Open to everyone. The port opens only after the model is loaded, so ready and
 * live are the same question.
 */
@Path("/health")
@NonBlocking
@Produces(MediaType.APPLICATION_JSON)
@Tag(name = "Operations")
class HealthResource {
  private final Engine engine;
  private final ServedModel model;

  HealthResource(Engine engine, ServedModel model) {
    this.engine = engine;
    this.model = model;
  }

  /**
   * @param status ok or engine_stopped
   */
  @Schema(name = "Health")
  record Health(String status, String model, int running, int waiting) {}

  @GET
  @Operation(operationId = "health", summary = "Is the engine alive")
  @APIResponse(
      responseCode = "200",
      description = "Alive",
      content = @Content(schema = @Schema(implementation = Health.class)))
  @APIResponse(
      responseCode = "503",
      description = "The engine has stopped",
      content = @Content(schema = @Schema(implementation = Health.class)))
  public Response health() {
    EngineStats stats = engine.stats();
    Health health =
        new Health(
            stats.alive() ? "ok" : "engine_stopped",
            model.id(),
            stats.runningSequences(),
            stats.waitingSequences());
    return Response.status(stats.alive() ? 200 : 503).entity(health).build();
  }

  @GET
  @Path("/live")
  @Operation(hidden = true)
  public Response live() {
    return health();
  }

  @GET
  @Path("/ready")
  @Operation(hidden = true)
  public Response ready() {
    return health();
  }
}
