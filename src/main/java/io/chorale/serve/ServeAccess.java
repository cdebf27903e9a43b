package io.chorale.serve;

import java.util.List;
import java.util.Optional;

/**
 * Who may call: keys that open inference, and the one that also opens the adapter routes.
 *
 * @param apiKeys empty: inference is open to everyone who reaches the port
 * @param adminKey empty: adapter routes are open to callers on this machine only
 */
public record ServeAccess(List<String> apiKeys, Optional<String> adminKey) {

  /** Role of a caller who may use the model. */
  public static final String INFERENCE = "inference";

  /** Role of a caller who may change adapters. */
  public static final String ADMIN = "admin";

  public ServeAccess {
    apiKeys = List.copyOf(apiKeys);
    if (apiKeys.stream().anyMatch(String::isBlank)
        || adminKey.filter(String::isBlank).isPresent()) {
      throw new IllegalArgumentException("a key is blank; remove the empty line or set the key");
    }
    if (adminKey.isPresent() && apiKeys.contains(adminKey.get())) {
      throw new IllegalArgumentException(
          "the admin key is also an inference key; every client could change adapters. Use another");
    }
  }

  @Override
  public String toString() { // keys stay out of logs
    return "ServeAccess[apiKeys=" + apiKeys.size() + ", adminKey=" + adminKey.isPresent() + "]";
  }
}
