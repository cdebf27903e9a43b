package io.chorale.adapter;

/** An adapter request that was refused; nothing changed. The message is fit for the client. */
public final class AdapterException extends RuntimeException {
  /** Why, for mapping to statuses. */
  public enum Code {
    /** No such name is registered. */
    NOT_FOUND,
    /** The name is registered and the request did not ask to replace it. */
    ALREADY_LOADED,
    /** The files are not an adapter that this base can serve exactly. */
    INVALID_ADAPTER,
    /** The path leads out of the adapter roots. */
    PATH_FORBIDDEN,
    /** Not a name: {@code [A-Za-z0-9._-]{1,128}}, and not the base model's id. */
    INVALID_NAME,
    /** expectedVersion is not the current version. */
    VERSION_MISMATCH,
    /** Another load or removal of this name is still running. */
    BUSY,
    /** Nothing at this path inside the adapter roots. */
    NO_SUCH_PATH,
    /** No upload of this id is open. */
    NO_SUCH_UPLOAD,
    /** A part that does not fit its upload. */
    BAD_UPLOAD,
    /** The server does not compute what the trainer recorded; the name still means what it did. */
    CANARY_FAILED
  }

  private final Code code;

  public AdapterException(Code code, String message) {
    super(message);
    this.code = code;
  }

  public AdapterException(Code code, String message, Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  public Code code() {
    return code;
  }

  static AdapterException invalid(String adapter, String reason) {
    return new AdapterException(Code.INVALID_ADAPTER, "adapter '" + adapter + "': " + reason);
  }
}
