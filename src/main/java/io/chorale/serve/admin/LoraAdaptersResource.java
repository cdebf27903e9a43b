package io.chorale.serve.admin;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.chorale.adapter.AdapterException;
import io.chorale.adapter.AdapterRegistry;
import io.chorale.adapter.RegisterOptions;
import io.chorale.serve.ApiError;
import io.chorale.serve.RequestFields;
import io.chorale.serve.ServeAccess;
import io.chorale.serve.ops.RequestMetrics;
import io.smallrye.common.annotation.Blocking;
import jakarta.annotation.security.RolesAllowed;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.util.OptionalInt;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.media.Content;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.eclipse.microprofile.openapi.annotations.parameters.RequestBody;
import org.eclipse.microprofile.openapi.annotations.responses.APIResponse;
import org.eclipse.microprofile.openapi.annotations.tags.Tag;

/**
 * vLLM's {@code POST /v1/load_lora_adapter} and {@code /v1/unload_lora_adapter}: its bodies,
 * statuses and texts, so that its controllers (lora-syncer, AIBrix) work unchanged. Unknown keys
 * are ignored as there. Unlike there, the path must be inside an adapter root.
 */
@Path("/v1")
@Blocking
@RolesAllowed(ServeAccess.ADMIN)
@Consumes(MediaType.APPLICATION_JSON)
@Tag(name = "Adapters (vLLM)")
class LoraAdaptersResource {
  private static final String TEXT = "text/plain; charset=utf-8";
  private static final String INVALID_INPUT = "InvalidUserInput";
  private static final String NOT_FOUND = "NotFoundError";

  private final AdapterRegistry adapters;
  private final RequestMetrics metrics;

  LoraAdaptersResource(AdapterRegistry adapters, RequestMetrics metrics) {
    this.adapters = adapters;
    this.metrics = metrics;
  }

  /** Body of a load. */
  @Schema(name = "LoadLoraAdapterRequest")
  record Load(
      @JsonProperty("lora_name") @Schema(required = true) String loraName,
      @JsonProperty("lora_path") @Schema(required = true) String loraPath,
      @JsonProperty("load_inplace") boolean loadInplace) {

    static Load read(byte[] body) {
      RequestFields fields = RequestFields.parse(body);
      return new Load(
          fields.string("lora_name"),
          fields.string("lora_path"),
          fields.bool("load_inplace", false));
    }
  }

  /** Body of an unload. */
  @Schema(name = "UnloadLoraAdapterRequest")
  record Unload(
      @JsonProperty("lora_name") @Schema(required = true) String loraName,
      @JsonProperty("lora_int_id") @Schema(nullable = true) Integer loraIntId) {}

  @POST
  @Path("/load_lora_adapter")
  @Produces({TEXT, MediaType.APPLICATION_JSON})
  @Operation(operationId = "loadLoraAdapter", summary = "Load an adapter, as with vLLM")
  @APIResponse(responseCode = "200", description = "Success: LoRA adapter '..' added successfully.")
  @APIResponse(ref = "Error400", responseCode = "400")
  @APIResponse(ref = "Error403", responseCode = "403")
  @APIResponse(ref = "Error404", responseCode = "404")
  @RequestBody(required = true, content = @Content(schema = @Schema(implementation = Load.class)))
  public Response load(byte[] body) {
    Load load = Load.read(body);
    if (isEmpty(load.loraName()) || isEmpty(load.loraPath())) {
      throw new ApiError(
          400,
          INVALID_INPUT,
          null,
          "missing_required_parameter",
          "Both 'lora_name' and 'lora_path' must be provided.");
    }
    try {
      RegisterOptions options = new RegisterOptions(load.loadInplace(), OptionalInt.empty());
      java.nio.file.Path path = AdapterErrors.path("lora_path", load.loraPath());
      AdapterErrors.counted(metrics, () -> adapters.register(load.loraName(), path, options));
    } catch (AdapterException e) {
      throw loadError(load, e);
    }
    return text("Success: LoRA adapter '" + load.loraName() + "' added successfully.");
  }

  @POST
  @Path("/unload_lora_adapter")
  @Produces({TEXT, MediaType.APPLICATION_JSON})
  @Operation(operationId = "unloadLoraAdapter", summary = "Unload an adapter, as with vLLM")
  @APIResponse(
      responseCode = "200",
      description = "Success: LoRA adapter '..' removed successfully.")
  @APIResponse(ref = "Error400", responseCode = "400")
  @APIResponse(ref = "Error403", responseCode = "403")
  @APIResponse(ref = "Error404", responseCode = "404")
  @RequestBody(required = true, content = @Content(schema = @Schema(implementation = Unload.class)))
  public Response unload(byte[] body) {
    String name = RequestFields.parse(body).string("lora_name");
    if (isEmpty(name)) {
      throw new ApiError(
          400,
          INVALID_INPUT,
          null,
          "missing_required_parameter",
          "'lora_name' needs to be provided to unload a LoRA adapter.");
    }
    try {
      adapters.remove(name);
    } catch (AdapterException e) {
      if (e.code() != AdapterException.Code.NOT_FOUND) {
        throw AdapterErrors.of(e);
      }
      throw new ApiError(
          404,
          NOT_FOUND,
          null,
          "lora_adapter_not_found",
          "The lora adapter '" + ApiError.shown(name) + "' cannot be found.");
    }
    return text("Success: LoRA adapter '" + name + "' removed successfully.");
  }

  private static ApiError loadError(Load load, AdapterException e) {
    ApiError ours = AdapterErrors.of(e);
    return switch (e.code()) {
      case ALREADY_LOADED ->
          new ApiError(
              400,
              INVALID_INPUT,
              null,
              ours.code(),
              ("The lora adapter '%s' has already been loaded. If you want to load the adapter in"
                      + " place, set 'load_inplace' to True.")
                  .formatted(load.loraName()));
      case NO_SUCH_PATH ->
          new ApiError(
              404,
              NOT_FOUND,
              null,
              ours.code(),
              "Loading lora "
                  + load.loraName()
                  + " failed: No adapter found for "
                  + e.getMessage());
      case INVALID_ADAPTER, INVALID_NAME ->
          new ApiError(400, "BadRequestError", null, ours.code(), e.getMessage());
      case NOT_FOUND,
          PATH_FORBIDDEN,
          VERSION_MISMATCH,
          BUSY,
          NO_SUCH_UPLOAD,
          BAD_UPLOAD,
          CANARY_FAILED ->
          ours;
    };
  }

  private static boolean isEmpty(String text) {
    return text == null || text.isEmpty();
  }

  private static Response text(String text) {
    return Response.ok(text).type(TEXT).build();
  }
}
