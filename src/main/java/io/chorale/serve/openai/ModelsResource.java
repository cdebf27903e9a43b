package io.chorale.serve.openai;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.chorale.adapter.AdapterInfo;
import io.chorale.adapter.AdapterRegistry;
import io.chorale.engine.Engine;
import io.chorale.serve.ApiError;
import io.chorale.serve.ServeAccess;
import io.chorale.serve.ServedModel;
import jakarta.annotation.security.RolesAllowed;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import java.util.ArrayList;
import java.util.List;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.eclipse.microprofile.openapi.annotations.responses.APIResponse;
import org.eclipse.microprofile.openapi.annotations.tags.Tag;

/** {@code GET /v1/models}: the base first, then its adapters by name. No server path in it. */
@Path("/v1/models")
@RolesAllowed(ServeAccess.INFERENCE)
@Produces(MediaType.APPLICATION_JSON)
@Tag(name = "Inference")
class ModelsResource {
  private final ServedModel model;
  private final AdapterRegistry adapters;
  private final Engine engine;

  ModelsResource(ServedModel model, AdapterRegistry adapters, Engine engine) {
    this.model = model;
    this.adapters = adapters;
    this.engine = engine;
  }

  /** All models. */
  @Schema(name = "ModelList")
  record ModelList(String object, List<Model> data) {}

  /**
   * @param created of an adapter: when this version was registered, seconds since 1970
   * @param root the name again; vLLM shows a path here
   * @param parent the base model's id, null for the base itself
   */
  @Schema(name = "Model")
  record Model(
      String id,
      String object,
      long created,
      @JsonProperty("owned_by") String ownedBy,
      String root,
      @Schema(nullable = true) String parent,
      @JsonProperty("max_model_len") int maxModelLen) {}

  @GET
  @Operation(operationId = "listModels", summary = "The base model and its adapters")
  @APIResponse(ref = "Error401", responseCode = "401")
  public ModelList list() {
    List<Model> models = new ArrayList<>();
    models.add(base());
    for (AdapterInfo adapter : adapters.list()) {
      models.add(of(adapter));
    }
    return new ModelList("list", models);
  }

  @GET
  @Path("/{id:.+}")
  @Operation(operationId = "retrieveModel", summary = "One model")
  @APIResponse(ref = "Error401", responseCode = "401")
  @APIResponse(ref = "Error404", responseCode = "404")
  public Model one(@PathParam("id") String id) {
    return id.equals(model.id())
        ? base()
        : adapters.find(id).map(this::of).orElseThrow(() -> ApiError.modelNotFound(id));
  }

  private Model base() {
    return new Model(
        model.id(), "model", model.createdEpochS(), "chorale", model.id(), null, context());
  }

  private Model of(AdapterInfo adapter) {
    return new Model(
        adapter.name(),
        "model",
        adapter.loadedAt().getEpochSecond(),
        "chorale",
        adapter.name(),
        model.id(),
        context());
  }

  private int context() {
    return Math.min(model.maxModelTokens(), engine.maxModelTokens());
  }
}
