package io.chorale.serve.admin;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.chorale.adapter.AdapterException;
import io.chorale.adapter.push.UploadStore;
import io.chorale.serve.ApiError;
import io.chorale.serve.ServeAccess;
import io.smallrye.common.annotation.Blocking;
import jakarta.annotation.security.RolesAllowed;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.PUT;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.QueryParam;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.util.function.Supplier;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.eclipse.microprofile.openapi.annotations.media.Content;
import org.eclipse.microprofile.openapi.annotations.media.Schema;
import org.eclipse.microprofile.openapi.annotations.responses.APIResponse;
import org.eclipse.microprofile.openapi.annotations.tags.Tag;

/**
 * {@code /admin/uploads}: the files of an adapter, in parts, from a machine that shares no disk
 * with the server. {@code PUT /admin/adapters/NAME} with {@code {"upload": ID}} registers them.
 */
@Path("/admin/uploads")
@Blocking
@RolesAllowed(ServeAccess.ADMIN)
@Produces(MediaType.APPLICATION_JSON)
@Tag(name = "Adapters")
class UploadsResource {
  /** Half of the largest request body. */
  private static final int MAX_PART_BYTES = 4 << 20;

  private final UploadStore uploads;

  UploadsResource(UploadStore uploads) {
    this.uploads = uploads;
  }

  /** A new upload. */
  @Schema(name = "Upload")
  record Upload(String object, String id, @JsonProperty("max_part_bytes") int maxPartBytes) {}

  /** How much of a file is there. */
  @Schema(name = "UploadedFile")
  record UploadedFile(String object, String file, long bytes) {}

  @POST
  @Operation(operationId = "createUpload", summary = "Begin to upload an adapter's files")
  @APIResponse(
      responseCode = "201",
      description = "Begun",
      content = @Content(schema = @Schema(implementation = Upload.class)))
  @APIResponse(ref = "Error403", responseCode = "403")
  @APIResponse(ref = "Error409", responseCode = "409")
  public Response create() {
    Upload upload = answered(() -> new Upload("upload", uploads.create(), MAX_PART_BYTES));
    return Response.status(201).entity(upload).build();
  }

  @PUT
  @Path("/{id}/{file}")
  @Consumes(MediaType.APPLICATION_OCTET_STREAM)
  @Operation(operationId = "appendToUpload", summary = "Add the next part of a file")
  @APIResponse(ref = "Error403", responseCode = "403")
  @APIResponse(ref = "Error404", responseCode = "404")
  @APIResponse(ref = "Error409", responseCode = "409")
  public UploadedFile append(
      @PathParam("id") String id,
      @PathParam("file") String file,
      @QueryParam("offset") String offset,
      byte[] part) {
    if (part.length > MAX_PART_BYTES) {
      throw new ApiError(
          413,
          ApiError.INVALID_REQUEST,
          null,
          "part_too_large",
          "The part has %d bytes, at most %d are taken at once."
              .formatted(part.length, MAX_PART_BYTES));
    }
    long from = offset(offset);
    return answered(
        () -> new UploadedFile("upload.file", file, uploads.append(id, file, from, part)));
  }

  private static long offset(String text) {
    try {
      long offset = text == null ? 0 : Long.parseLong(text);
      if (offset >= 0) {
        return offset;
      }
    } catch (NumberFormatException e) {
      // answered below
    }
    throw ApiError.invalid(
        "offset", "invalid_value", "'offset' is no byte offset: '" + ApiError.shown(text) + "'.");
  }

  @DELETE
  @Path("/{id}")
  @Operation(operationId = "deleteUpload", summary = "Give an upload up")
  @APIResponse(responseCode = "204", description = "Gone")
  @APIResponse(ref = "Error403", responseCode = "403")
  public void delete(@PathParam("id") String id) {
    uploads.abandon(id);
  }

  private static <T> T answered(Supplier<T> work) {
    try {
      return work.get();
    } catch (AdapterException e) {
      throw AdapterErrors.of(e);
    }
  }
}
