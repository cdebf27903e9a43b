package io.chorale.app.store;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;

/**
 * A hub on 127.0.0.1 with the layout {@code /org/name/resolve/main/file}: ranges, ETags, redirects
 * to a second port, and connections that break.
 */
final class HubServer implements AutoCloseable {
  /** One answered request. */
  record Seen(String path, String range, String authorization) {}

  final List<Seen> seen = new CopyOnWriteArrayList<>();
  final Map<String, byte[]> files = new ConcurrentHashMap<>();
  final Map<String, String> etags = new ConcurrentHashMap<>();

  /** File name to how many bytes are sent before the connection breaks, one entry a request. */
  final Map<String, List<Integer>> breaks = new HashMap<>();

  private final HttpServer server;
  private String redirectTo;
  private String wantedToken;

  HubServer() {
    try {
      server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    server.setExecutor(Executors.newCachedThreadPool());
    server.createContext("/", this::answer);
    server.start();
  }

  String endpoint() {
    return "http://127.0.0.1:" + server.getAddress().getPort();
  }

  HubServer redirectingTo(HubServer storage) {
    redirectTo = storage.endpoint();
    return this;
  }

  HubServer wantingToken(String token) {
    wantedToken = token;
    return this;
  }

  private void answer(HttpExchange exchange) throws IOException {
    String path = exchange.getRequestURI().getPath();
    String name = path.substring(path.lastIndexOf('/') + 1);
    String range = exchange.getRequestHeaders().getFirst("Range");
    String authorization = exchange.getRequestHeaders().getFirst("Authorization");
    seen.add(new Seen(path, range, authorization));
    byte[] content = files.get(name);
    if (wantedToken != null && !("Bearer " + wantedToken).equals(authorization)) {
      status(exchange, 401);
    } else if (content == null) {
      status(exchange, 404);
    } else if (redirectTo != null) {
      exchange.getResponseHeaders().set("Location", redirectTo + path);
      exchange
          .getResponseHeaders()
          .set("X-Linked-Etag", '"' + etags.getOrDefault(name, "none") + '"');
      status(exchange, 302);
    } else {
      send(exchange, name, content, range);
    }
  }

  private void send(HttpExchange exchange, String name, byte[] content, String range)
      throws IOException {
    int from = range == null ? 0 : Integer.parseInt(range.replaceAll("\\D", ""));
    exchange.getResponseHeaders().set("ETag", '"' + etags.getOrDefault(name, "v1") + '"');
    if (range != null) {
      exchange
          .getResponseHeaders()
          .set(
              "Content-Range",
              "bytes %d-%d/%d".formatted(from, content.length - 1, content.length));
    }
    exchange.sendResponseHeaders(range == null ? 200 : 206, content.length - from);
    int to = content.length;
    synchronized (breaks) {
      List<Integer> rest = breaks.getOrDefault(name, List.of());
      if (!rest.isEmpty()) {
        to = Math.min(to, from + rest.get(0));
        breaks.put(name, rest.subList(1, rest.size()));
      }
    }
    exchange.getResponseBody().write(content, from, to - from);
    exchange.getResponseBody().flush();
    exchange.close(); // before the promised length: the connection breaks
  }

  private static void status(HttpExchange exchange, int status) throws IOException {
    exchange.sendResponseHeaders(status, -1);
    exchange.close();
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
