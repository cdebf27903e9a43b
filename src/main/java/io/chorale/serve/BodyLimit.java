package io.chorale.serve;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.quarkus.vertx.http.runtime.filters.Filters;
import io.vertx.core.http.HttpHeaders;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.context.ApplicationScoped;
import jakarta.enterprise.event.Observes;
import java.util.UUID;

/**
 * Before anything else: gives each request its id and refuses a body that is too large by its
 * announced length, with a JSON answer. (A body sent in chunks is cut by Quarkus' own limit, set to
 * the same size in application.properties.)
 */
@ApplicationScoped
class BodyLimit {
  /** Equal to {@code quarkus.http.limits.max-body-size}. */
  static final long MAX_BODY_BYTES = 8L << 20;

  static final String REQUEST_ID = "x-request-id";
  private static final int EARLY = 10_000;

  private final ObjectMapper json;

  BodyLimit(ObjectMapper json) {
    this.json = json;
  }

  void register(@Observes Filters filters) {
    filters.register(this::filter, EARLY);
  }

  private void filter(RoutingContext rc) {
    rc.response().putHeader(REQUEST_ID, idFor(rc.request().getHeader(REQUEST_ID)));
    if (announcedBytes(rc) > MAX_BODY_BYTES) {
      ApiError error = tooLarge();
      rc.response()
          .setStatusCode(error.status())
          .putHeader(HttpHeaders.CONTENT_TYPE, "application/json")
          .putHeader(HttpHeaders.CONNECTION, "close")
          .end(bytes(error));
      return;
    }
    rc.next();
  }

  private String bytes(ApiError error) {
    try {
      return json.writeValueAsString(error.body());
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("an error body of strings must be JSON", e);
    }
  }

  private static long announcedBytes(RoutingContext rc) {
    String length = rc.request().getHeader(HttpHeaders.CONTENT_LENGTH);
    try {
      return length == null ? 0 : Long.parseLong(length);
    } catch (NumberFormatException e) {
      return 0; // the HTTP decoder answers that
    }
  }

  /** The caller's own id if it is short and harmless in a log, else a new one. */
  static String idFor(String given) {
    return given != null && given.matches("[\\x21-\\x7e]{1,128}")
        ? given
        : "req_" + UUID.randomUUID().toString().replace("-", "");
  }

  static ApiError tooLarge() {
    return new ApiError(
        413,
        ApiError.INVALID_REQUEST,
        null,
        "request_too_large",
        "The request body is larger than " + (MAX_BODY_BYTES >> 20) + " MB.");
  }
}
