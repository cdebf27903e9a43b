package io.chorale.serve.admin;

import io.chorale.adapter.AdapterException;
import io.chorale.serve.ApiError;
import io.chorale.serve.ops.RequestMetrics;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.function.Supplier;

/** An adapter's refusal as an HTTP answer; the codes are mistral.rs's where it has one. */
final class AdapterErrors {
  private AdapterErrors() {}

  /** On our own routes. */
  static ApiError of(AdapterException e) {
    return switch (e.code()) {
      case NOT_FOUND -> error(404, "lora_adapter_not_found", e);
      case ALREADY_LOADED ->
          error(409, "lora_adapter_already_loaded", e).header("x-should-retry", "false");
      case INVALID_ADAPTER -> error(400, "invalid_lora_adapter", e);
      case PATH_FORBIDDEN -> error(403, "adapter_path_forbidden", e);
      case INVALID_NAME -> error(400, "invalid_lora_name", e);
      case VERSION_MISMATCH ->
          error(409, "lora_version_mismatch", e).header("x-should-retry", "false");
      case BUSY -> error(429, "lora_load_busy", e).header("Retry-After", "1");
      case NO_SUCH_PATH -> error(404, "adapter_path_not_found", e);
      case NO_SUCH_UPLOAD -> error(404, "upload_not_found", e);
      case BAD_UPLOAD -> error(409, "invalid_upload", e).header("x-should-retry", "false");
      case CANARY_FAILED -> error(422, "lora_canary_failed", e);
    };
  }

  private static ApiError error(int status, String code, AdapterException e) {
    return new ApiError(status, ApiError.INVALID_REQUEST, null, code, e.getMessage());
  }

  /** Runs a registration and counts how it went. */
  static <T> T counted(RequestMetrics metrics, Supplier<T> registration) {
    try {
      T done = registration.get();
      metrics.adapterLoad("ok");
      return done;
    } catch (AdapterException e) {
      metrics.adapterLoad(of(e).code());
      throw e;
    }
  }

  /** The text as a path, without ever echoing what the file system says about it. */
  static Path path(String param, String text) {
    try {
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw ApiError.invalid(
          param, "invalid_value", "'" + param + "' is not a path: '" + ApiError.shown(text) + "'.");
    }
  }
}
