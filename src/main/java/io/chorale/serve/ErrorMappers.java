package io.chorale.serve;

import io.quarkus.security.AuthenticationFailedException;
import io.quarkus.security.ForbiddenException;
import io.quarkus.security.UnauthorizedException;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.context.ApplicationScoped;
import jakarta.ws.rs.NotAllowedException;
import jakarta.ws.rs.NotFoundException;
import jakarta.ws.rs.NotSupportedException;
import jakarta.ws.rs.WebApplicationException;
import jakarta.ws.rs.core.HttpHeaders;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import jakarta.ws.rs.core.UriInfo;
import java.io.IOException;
import org.jboss.logging.Logger;
import org.jboss.resteasy.reactive.server.ServerExceptionMapper;
import org.jboss.resteasy.reactive.server.SimpleResourceInfo;

/** Writes whatever a resource throws as OpenAI's error JSON. No Java names in messages. */
@ApplicationScoped
class ErrorMappers {
  private static final Logger LOG = Logger.getLogger(ErrorMappers.class);

  private final CallerRoles callers;

  ErrorMappers(CallerRoles callers) {
    this.callers = callers;
  }

  /** The one place that turns an error into bytes. */
  static Response response(ApiError error) {
    Response.ResponseBuilder builder =
        Response.status(error.status()).type(MediaType.APPLICATION_JSON_TYPE).entity(error.body());
    error.headers().forEach(builder::header);
    return builder.build();
  }

  @ServerExceptionMapper
  Response api(ApiError error) {
    return response(error);
  }

  @ServerExceptionMapper
  Response notFound(NotFoundException e, UriInfo uri) {
    return response(unknownPath(uri.getPath()));
  }

  static ApiError unknownPath(String path) {
    return new ApiError(
        404,
        ApiError.INVALID_REQUEST,
        null,
        "unknown_url",
        "Unknown request URL '" + ApiError.shown(path) + "'; /q/swagger-ui lists the known ones.");
  }

  @ServerExceptionMapper
  Response notAllowed(NotAllowedException e, UriInfo uri) {
    ApiError error =
        new ApiError(
            405,
            ApiError.INVALID_REQUEST,
            null,
            "method_not_allowed",
            "'" + ApiError.shown(uri.getPath()) + "' does not take this method; see Allow.");
    String allow = e.getResponse().getHeaderString(HttpHeaders.ALLOW);
    return response(allow == null ? error : error.header(HttpHeaders.ALLOW, allow));
  }

  @ServerExceptionMapper
  Response notSupported(NotSupportedException e) {
    return response(
        new ApiError(
            415,
            ApiError.INVALID_REQUEST,
            null,
            "unsupported_media_type",
            "Send the body as JSON with the header Content-Type: application/json."));
  }

  @ServerExceptionMapper
  Response other(WebApplicationException e) {
    int status = e.getResponse().getStatus();
    if (status == 413) {
      return response(BodyLimit.tooLarge());
    }
    if (status >= 500) {
      return unexpected(e);
    }
    return response(
        new ApiError(
            status,
            ApiError.INVALID_REQUEST,
            null,
            "http_" + status,
            Response.Status.fromStatusCode(status) == null
                ? "The request was refused."
                : Response.Status.fromStatusCode(status).getReasonPhrase() + "."));
  }

  @ServerExceptionMapper
  Response forbidden(ForbiddenException e, RoutingContext rc, SimpleResourceInfo resource) {
    return response(callers.refusal(rc, resource.getResourceClass()));
  }

  @ServerExceptionMapper
  Response unauthorized(UnauthorizedException e, RoutingContext rc, SimpleResourceInfo resource) {
    return response(callers.refusal(rc, resource.getResourceClass()));
  }

  @ServerExceptionMapper
  Response unauthenticated(
      AuthenticationFailedException e, RoutingContext rc, SimpleResourceInfo resource) {
    return response(callers.refusal(rc, resource.getResourceClass()));
  }

  @ServerExceptionMapper
  Response unexpected(Throwable e) {
    if (e instanceof IOException && "Request too large".equals(e.getMessage())) {
      return response(BodyLimit.tooLarge()); // a body in chunks; Quarkus has answered 413 already
    }
    LOG.error("request failed", e);
    return response(ApiError.internal("The server failed to answer; its log says why."));
  }
}
