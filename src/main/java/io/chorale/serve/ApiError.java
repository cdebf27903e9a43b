package io.chorale.serve;

import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * An answer other than success, in OpenAI's shape. Thrown anywhere below a resource; {@link
 * ErrorMappers} writes it. Headers tell OpenAI's clients whether to try again.
 */
public final class ApiError extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** {@code type} of everything that the caller can mend. */
  public static final String INVALID_REQUEST = "invalid_request_error";

  private final int status;
  private final String type;
  private final String param;
  private final String code;
  private final transient Map<String, String> headers = new LinkedHashMap<>();

  public ApiError(int status, String type, String param, String code, String message) {
    super(message, null, false, false);
    this.status = status;
    this.type = type;
    this.param = param;
    this.code = code;
  }

  /** 400: the field named {@code param} cannot be used as it was sent. */
  public static ApiError invalid(String param, String code, String message) {
    return new ApiError(400, INVALID_REQUEST, param, code, message);
  }

  /** 404 with the words of OpenAI. */
  public static ApiError modelNotFound(String model) {
    return new ApiError(
        404,
        INVALID_REQUEST,
        "model",
        "model_not_found",
        "The model '" + shown(model) + "' does not exist. GET /v1/models lists those that do.");
  }

  /** 429: the bounded queue is full. */
  public static ApiError busy(String message) {
    return new ApiError(429, "rate_limit_error", null, "engine_busy", message)
        .header("Retry-After", "1");
  }

  /** 503: nothing can be generated until the server is restarted. */
  public static ApiError engineStopped() {
    return new ApiError(
            503,
            "server_error",
            null,
            "engine_stopped",
            "The engine has stopped; see the server's log and restart it.")
        .header("Retry-After", "5");
  }

  /** 500: our fault. */
  public static ApiError internal(String message) {
    return new ApiError(500, "server_error", null, "internal_error", message);
  }

  public ApiError header(String name, String value) {
    headers.put(name, value);
    return this;
  }

  public int status() {
    return status;
  }

  public String code() {
    return code;
  }

  public String param() {
    return param;
  }

  public Map<String, String> headers() {
    return Map.copyOf(headers);
  }

  public Body body() {
    return new Body(new Detail(getMessage(), type, param, code));
  }

  /** A caller's text, cut so that an error never echoes a whole prompt. */
  public static String shown(String text) {
    return text.length() <= 100 ? text : text.substring(0, 100) + "...";
  }

  /** {@code {"error": {...}}}. */
  public record Body(Detail error) {}

  /**
   * @param param the offending field, or null
   */
  @JsonPropertyOrder({"message", "type", "param", "code"})
  public record Detail(String message, String type, String param, String code) {}
}
