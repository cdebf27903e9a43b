package io.chorale.serve.openai;

import io.chorale.serve.ServeAccess;
import io.smallrye.common.annotation.NonBlocking;
import io.smallrye.mutiny.Uni;
import io.vertx.ext.web.RoutingContext;
import jakarta.annotation.security.RolesAllowed;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.media.Content;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.eclipse.microprofile.openapi.annotations.parameters.RequestBody;
import org.eclipse.microprofile.openapi.annotations.responses.APIResponse;
import org.eclipse.microprofile.openapi.annotations.tags.Tag;

/** {@code POST /v1/completions}. */
@Path("/v1/completions")
@RolesAllowed(ServeAccess.INFERENCE)
@Tag(name = "Inference")
class CompletionsResource {
  private final ChatRequests requests;

  CompletionsResource(ChatRequests requests) {
    this.requests = requests;
  }

  @POST
  @NonBlocking
  @Consumes(MediaType.APPLICATION_JSON)
  @Produces({MediaType.APPLICATION_JSON, MediaType.SERVER_SENT_EVENTS})
  @Operation(
      operationId = "createCompletion",
      summary = "Continue a text with the base model or an adapter")
  @RequestBody(
      required = true,
      content =
          @Content(
              mediaType = MediaType.APPLICATION_JSON,
              schema = @Schema(ref = "CompletionRequest")))
  @APIResponse(
      responseCode = "200",
      description = "The answer; with stream = true as server-sent events, ended by [DONE]",
      content = {
        @Content(mediaType = MediaType.APPLICATION_JSON, schema = @Schema(ref = "Completion")),
        @Content(mediaType = MediaType.SERVER_SENT_EVENTS, schema = @Schema(ref = "Completion"))
      })
  @APIResponse(ref = "Error400", responseCode = "400")
  @APIResponse(ref = "Error401", responseCode = "401")
  @APIResponse(ref = "Error404", responseCode = "404")
  @APIResponse(ref = "Error429", responseCode = "429")
  @APIResponse(ref = "Error503", responseCode = "503")
  public Uni<Response> create(byte[] body, @Context RoutingContext rc) {
    return requests.complete(body, rc);
  }
}
