package io.chorale.serve.admin;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.chorale.adapter.AdapterException;
import io.chorale.adapter.AdapterInfo;
import io.chorale.adapter.AdapterRegistry;
import io.chorale.adapter.RegisterOptions;
import io.chorale.serve.ApiError;
import io.chorale.serve.RequestFields;
import io.chorale.serve.ServeAccess;
import io.chorale.serve.ops.RequestMetrics;
import io.smallrye.common.annotation.Blocking;
import jakarta.annotation.security.RolesAllowed;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.PUT;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.time.Instant;
import java.util.List;
import java.util.OptionalInt;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.media.Content;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.eclipse.microprofile.openapi.annotations.parameters.RequestBody;
import org.eclipse.microprofile.openapi.annotations.responses.APIResponse;
import org.eclipse.microprofile.openapi.annotations.tags.Tag;

/**
 * {@code /admin/adapters}: list, look at, put (create or replace, with compare-and-swap) and delete
 * adapters while requests run; a running request keeps the version it started with.
 */
@Path("/admin/adapters")
@Blocking
@RolesAllowed(ServeAccess.ADMIN)
@Produces(MediaType.APPLICATION_JSON)
@Tag(name = "Adapters")
class AdaptersResource {
  private final AdapterRegistry adapters;
  private final RequestMetrics metrics;
  private final PushedAdapters pushed;

  AdaptersResource(AdapterRegistry adapters, RequestMetrics metrics, PushedAdapters pushed) {
    this.adapters = adapters;
    this.metrics = metrics;
    this.pushed = pushed;
  }

  /** All adapters. */
  @Schema(name = "AdapterList")
  record AdapterList(String object, List<Adapter> data) {}

  /**
   * One adapter as operators see it; no path.
   *
   * @param leases requests that hold this version now
   */
  @Schema(name = "Adapter")
  record Adapter(
      String object,
      String name,
      int version,
      String method,
      int rank,
      @JsonProperty("target_modules") List<String> targetModules,
      long bytes,
      @JsonProperty("loaded_at") Instant loadedAt,
      int leases,
      String sha256) {

    static Adapter of(AdapterInfo info) {
      return new Adapter(
          "adapter",
          info.name(),
          info.version(),
          info.method(),
          info.rank(),
          info.targetModules(),
          info.bytes(),
          info.loadedAt(),
          info.leases(),
          info.sha256());
    }
  }

  /**
   * Body of a PUT.
   *
   * @param path inside an adapter root, absolute or relative to it; or null
   * @param upload id of a finished upload, instead of a path: published only if the server computes
   *     what the canary in its chorale.json says
   * @param sha256 of an upload, as this server's answers have it; null: not compared
   * @param expectedVersion the version that must be current; 0: none; null: whatever it is
   */
  @Schema(name = "PutAdapterRequest")
  record Put(
      @Schema(nullable = true) String path,
      @Schema(nullable = true) String upload,
      @Schema(nullable = true) String sha256,
      @JsonProperty("expected_version") @Schema(nullable = true, minimum = "0")
          Integer expectedVersion) {

    static Put read(byte[] body) {
      RequestFields fields = RequestFields.parse(body);
      String upload = fields.string("upload");
      String path = upload == null ? fields.requiredString("path") : fields.string("path");
      if (upload != null && path != null) {
        throw ApiError.invalid(
            "path", "invalid_value", "'path' and 'upload' exclude each other: send one.");
      }
      String sha256 = fields.string("sha256");
      OptionalInt expected = fields.integer("expected_version", 0, Integer.MAX_VALUE);
      fields.end();
      return new Put(path, upload, sha256, expected.isPresent() ? expected.getAsInt() : null);
    }

    OptionalInt expected() {
      return expectedVersion == null ? OptionalInt.empty() : OptionalInt.of(expectedVersion);
    }
  }

  @GET
  @Operation(operationId = "listAdapters", summary = "All registered adapters")
  @APIResponse(ref = "Error401", responseCode = "401")
  @APIResponse(ref = "Error403", responseCode = "403")
  public AdapterList list() {
    return new AdapterList("list", adapters.list().stream().map(Adapter::of).toList());
  }

  @GET
  @Path("/{name}")
  @Operation(operationId = "retrieveAdapter", summary = "One adapter")
  @APIResponse(ref = "Error404", responseCode = "404")
  public Adapter one(@PathParam("name") String name) {
    return adapters
        .find(name)
        .map(Adapter::of)
        .orElseThrow(
            () ->
                new ApiError(
                    404,
                    ApiError.INVALID_REQUEST,
                    null,
                    "lora_adapter_not_found",
                    "adapter '" + ApiError.shown(name) + "' is not registered"));
  }

  @PUT
  @Path("/{name}")
  @Consumes(MediaType.APPLICATION_JSON)
  @Operation(operationId = "putAdapter", summary = "Create an adapter or replace its version")
  @APIResponse(
      responseCode = "200",
      description = "Replaced",
      content = @Content(schema = @Schema(implementation = Adapter.class)))
  @APIResponse(
      responseCode = "201",
      description = "Created",
      content = @Content(schema = @Schema(implementation = Adapter.class)))
  @APIResponse(ref = "Error400", responseCode = "400")
  @APIResponse(ref = "Error403", responseCode = "403")
  @APIResponse(ref = "Error404", responseCode = "404")
  @APIResponse(ref = "Error409", responseCode = "409")
  @APIResponse(ref = "Error429", responseCode = "429")
  @RequestBody(required = true, content = @Content(schema = @Schema(implementation = Put.class)))
  public Response put(@PathParam("name") String name, byte[] body) {
    Put put = Put.read(body);
    RegisterOptions options = new RegisterOptions(true, put.expected());
    try {
      boolean replaced = adapters.find(name).isPresent();
      AdapterInfo info = AdapterErrors.counted(metrics, () -> register(name, put, options));
      return Response.status(replaced ? 200 : 201).entity(Adapter.of(info)).build();
    } catch (AdapterException e) {
      throw AdapterErrors.of(e);
    }
  }

  private AdapterInfo register(String name, Put put, RegisterOptions options) {
    return put.upload() == null
        ? adapters.register(name, AdapterErrors.path("path", put.path()), options)
        : pushed.register(name, put.upload(), put.sha256(), options);
  }

  @DELETE
  @Path("/{name}")
  @Operation(operationId = "deleteAdapter", summary = "Take a name away; running requests finish")
  @APIResponse(
      responseCode = "200",
      description = "What was removed",
      content = @Content(schema = @Schema(implementation = Adapter.class)))
  @APIResponse(ref = "Error403", responseCode = "403")
  @APIResponse(ref = "Error404", responseCode = "404")
  public Adapter delete(@PathParam("name") String name) {
    try {
      return Adapter.of(adapters.remove(name));
    } catch (AdapterException e) {
      throw AdapterErrors.of(e);
    }
  }
}
