package io.chorale.serve;

import io.quarkus.security.identity.IdentityProviderManager;
import io.quarkus.security.identity.SecurityIdentity;
import io.quarkus.security.runtime.QuarkusPrincipal;
import io.quarkus.security.runtime.QuarkusSecurityIdentity;
import io.quarkus.vertx.http.runtime.security.ChallengeData;
import io.quarkus.vertx.http.runtime.security.HttpAuthenticationMechanism;
import io.smallrye.mutiny.Uni;
import io.vertx.core.net.SocketAddress;
import io.vertx.ext.web.RoutingContext;
import jakarta.annotation.security.RolesAllowed;
import jakarta.enterprise.context.ApplicationScoped;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;

/**
 * Gives every caller roles from its key and its address; resources demand them with {@link
 * RolesAllowed}, so no spelling of a path goes round the check. Keys are compared in constant time.
 *
 * <pre>
 *   role        with keys set                     with none set
 *   inference   an inference key or the admin key everyone
 *   admin       the admin key                     loopback address and a loopback Host
 * </pre>
 *
 * <p>The Host is looked at so that a web page in the operator's browser cannot reach the open admin
 * routes through a name that resolves to this machine.
 */
@ApplicationScoped
class CallerRoles implements HttpAuthenticationMechanism {
  private static final String BEARER = "Bearer ";

  private final ServeAccess access;

  CallerRoles(ServeAccess access) {
    this.access = access;
  }

  @Override
  public Uni<SecurityIdentity> authenticate(RoutingContext rc, IdentityProviderManager providers) {
    Set<String> roles = roles(bearer(rc), isLocal(rc));
    return Uni.createFrom()
        .item(
            QuarkusSecurityIdentity.builder()
                .setPrincipal(new QuarkusPrincipal("client"))
                .addRoles(roles)
                .build());
  }

  /** What a caller with this key (null: none) and place may do. */
  Set<String> roles(String key, boolean local) {
    Set<String> roles = new HashSet<>();
    boolean admin = access.adminKey().isPresent() ? same(access.adminKey().get(), key) : local;
    boolean inference = access.apiKeys().isEmpty();
    for (String known : access.apiKeys()) {
      inference |= same(known, key); // no early exit: time must not tell which key came close
    }
    if (admin) {
      roles.add(ServeAccess.ADMIN);
    }
    if (inference || admin && access.adminKey().isPresent()) {
      roles.add(ServeAccess.INFERENCE);
    }
    return roles;
  }

  /** Why this caller was turned away from a resource of this class. */
  ApiError refusal(RoutingContext rc, Class<?> resource) {
    RolesAllowed needed = resource == null ? null : resource.getAnnotation(RolesAllowed.class);
    boolean admin = needed != null && Arrays.asList(needed.value()).contains(ServeAccess.ADMIN);
    return refusal(bearer(rc), admin);
  }

  ApiError refusal(String key, boolean admin) {
    if (admin && access.adminKey().isEmpty()) {
      return new ApiError(
          403,
          "permission_error",
          null,
          "admin_loopback_only",
          "Adapter routes are open to this machine only while no admin key is set; start the server"
              + " with --admin-key-file to call them from elsewhere.");
    }
    if (admin && !access.apiKeys().isEmpty() && roles(key, false).contains(ServeAccess.INFERENCE)) {
      return new ApiError(
          403,
          "permission_error",
          null,
          "admin_key_required",
          "This is an inference key; adapter routes want the admin key.");
    }
    String wanted = admin ? "admin key" : "API key";
    return new ApiError(
            401,
            ApiError.INVALID_REQUEST,
            null,
            "invalid_api_key",
            key == null
                ? "No " + wanted + " given; send the header Authorization: Bearer YOUR_KEY."
                : "Incorrect " + wanted + " given.")
        .header("WWW-Authenticate", "Bearer");
  }

  @Override
  public Uni<ChallengeData> getChallenge(RoutingContext rc) {
    return Uni.createFrom().item(new ChallengeData(401, "WWW-Authenticate", "Bearer"));
  }

  private static String bearer(RoutingContext rc) {
    String header = rc.request().getHeader("Authorization");
    return header != null && header.regionMatches(true, 0, BEARER, 0, BEARER.length())
        ? header.substring(BEARER.length()).strip()
        : null;
  }

  private static boolean isLocal(RoutingContext rc) {
    SocketAddress remote = rc.request().remoteAddress();
    return remote != null
        && isLoopback(remote.hostAddress())
        && isLocalHost(rc.request().getHeader("Host"));
  }

  /** An IP address as text (never a name: nothing is resolved). */
  static boolean isLoopback(String address) {
    if (address == null || !address.matches("[0-9a-fA-F:.%]+")) {
      return false;
    }
    try {
      return InetAddress.getByName(address).isLoopbackAddress();
    } catch (UnknownHostException e) {
      return false;
    }
  }

  static boolean isLocalHost(String hostHeader) {
    if (hostHeader == null) {
      return true;
    }
    String host = hostHeader.replaceFirst(":\\d+$", "");
    return host.equalsIgnoreCase("localhost")
        || isLoopback(host.startsWith("[") ? host.substring(1, host.length() - 1) : host);
  }

  private static boolean same(String known, String given) {
    byte[] other = Optional.ofNullable(given).orElse("").getBytes(StandardCharsets.UTF_8);
    return MessageDigest.isEqual(known.getBytes(StandardCharsets.UTF_8), other);
  }
}
