package io.chorale.app.store;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Locale;
import java.util.Optional;

/**
 * Brings one file over HTTP into {@code target}, going on where an earlier try (of this process or
 * of one before) stopped. {@code target} appears only whole; what has come so far is in {@code
 * target.part}, with the file's identity (its ETag) in {@code target.part.etag}.
 *
 * <p>HttpURLConnection rather than java.net.http: it has a time limit for a body that stops coming.
 */
final class HttpFile {
  private static final int CONNECT_MS = 15_000;
  private static final int STALL_MS = 60_000;
  private static final int MAX_HOPS = 5;
  private static final int TRIES = 5;

  private final Optional<String> token;
  private final Progress progress;
  private final long backoffMs;

  /**
   * @param token sent as bearer key to the first host only, never to where it redirects
   * @param backoffMs wait before the second try; doubles with each further one
   */
  HttpFile(Optional<String> token, Progress progress, long backoffMs) {
    this.token = token;
    this.progress = progress;
    this.backoffMs = backoffMs;
  }

  /**
   * @return false if the server says that there is no such file (404)
   * @throws IOException when all tries failed, or on an answer that a further try cannot change
   */
  boolean bring(URI uri, Path target) throws IOException {
    if (Files.exists(target)) {
      return true;
    }
    for (int attempt = 1; ; attempt++) {
      try {
        return attempt(uri, target);
      } catch (FinalException e) {
        throw e;
      } catch (IOException e) {
        if (attempt == TRIES) {
          throw new IOException(
              "%s: %d tries failed, the last with: %s".formatted(uri, TRIES, reason(e)), e);
        }
        progress.say("%s: %s; trying again".formatted(target.getFileName(), reason(e)));
        pause(backoffMs << (attempt - 1));
      }
    }
  }

  private boolean attempt(URI uri, Path target) throws IOException {
    Path part = target.resolveSibling(target.getFileName() + ".part");
    Path etagFile = target.resolveSibling(target.getFileName() + ".part.etag");
    long have = Files.exists(part) && Files.exists(etagFile) ? Files.size(part) : 0;
    Answer answer = open(uri, have);
    try {
      if (answer.status() == 404) {
        return false;
      }
      boolean resumed =
          answer.status() == 206
              && answer.startsAt(have)
              && answer.etag().equals(Optional.of(Files.readString(etagFile)));
      if (have > 0 && !resumed && answer.status() != 200) { // another file by now, or all of it
        Files.delete(etagFile);
        throw new IOException("what had come so far is of no use (%d)".formatted(answer.status()));
      }
      check(uri, answer);
      long already = resumed ? have : 0;
      if (!resumed) {
        Files.deleteIfExists(etagFile);
        Files.deleteIfExists(part);
        if (answer.etag().isPresent()) {
          Files.writeString(etagFile, answer.etag().get());
        }
      }
      receive(answer, part, already, target.getFileName().toString());
    } finally {
      answer.connection().disconnect();
    }
    verify(answer, part, etagFile);
    Bytes.publish(part, target);
    Files.deleteIfExists(etagFile);
    return true;
  }

  private void receive(Answer answer, Path part, long already, String name) throws IOException {
    long rest = answer.length();
    long total = rest < 0 ? 0 : already + rest;
    Bytes.needSpace(part.getParent(), Math.max(0, rest));
    long done = already;
    try (Progress.Task task = progress.task("Bringing " + name, total);
        InputStream in = answer.connection().getInputStream();
        OutputStream out =
            Files.newOutputStream(part, StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
      byte[] buffer = new byte[Bytes.BUFFER_BYTES];
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        out.write(buffer, 0, n);
        done += n;
        task.at(done);
      }
    }
    if (total > 0 && done != total) {
      throw new IOException("the connection ended after %d of %d bytes".formatted(done, total));
    }
  }

  private static void verify(Answer answer, Path part, Path etagFile) throws IOException {
    String wanted = answer.etag().orElse("");
    if (wanted.matches("[0-9a-f]{64}") && !Bytes.sha256(part).equals(wanted)) {
      Files.delete(part);
      Files.deleteIfExists(etagFile);
      throw new IOException("its sha256 is not " + wanted + ", as the server had said");
    }
  }

  private Answer open(URI uri, long from) throws IOException {
    URI at = uri;
    Optional<String> linkedEtag = Optional.empty();
    for (int hop = 0; hop < MAX_HOPS; hop++) {
      HttpURLConnection connection = connect(at, at.getAuthority().equals(uri.getAuthority()));
      if (from > 0) {
        connection.setRequestProperty("Range", "bytes=" + from + "-");
      }
      int status = connection.getResponseCode();
      // A hub names the file's own hash before it redirects to storage that has another ETag.
      linkedEtag = linkedEtag.or(() -> etag(connection, "X-Linked-Etag"));
      if (status / 100 != 3) {
        return new Answer(connection, status, linkedEtag.or(() -> etag(connection, "ETag")));
      }
      String location = connection.getHeaderField("Location");
      connection.disconnect();
      if (location == null) {
        throw new FinalException("%s redirects nowhere (%d)".formatted(at, status));
      }
      at = at.resolve(location);
      if (uri.getScheme().equals("https") && !"https".equals(at.getScheme())) {
        throw new FinalException("%s redirects from https to %s".formatted(uri, at.getScheme()));
      }
    }
    throw new FinalException("%s redirects more than %d times".formatted(uri, MAX_HOPS));
  }

  private HttpURLConnection connect(URI at, boolean withToken) throws IOException {
    HttpURLConnection connection = (HttpURLConnection) at.toURL().openConnection();
    connection.setInstanceFollowRedirects(false);
    connection.setConnectTimeout(CONNECT_MS);
    connection.setReadTimeout(STALL_MS);
    connection.setRequestProperty("Accept-Encoding", "identity");
    connection.setRequestProperty("User-Agent", "chorale");
    if (withToken) {
      token.ifPresent(t -> connection.setRequestProperty("Authorization", "Bearer " + t));
    }
    return connection;
  }

  private void check(URI uri, Answer answer) throws IOException {
    switch (answer.status()) {
      case 200, 206 -> {}
      case 401, 403 ->
          throw new FinalException(
              "%s answered %d; %s"
                  .formatted(
                      uri,
                      answer.status(),
                      token.isPresent()
                          ? "HF_TOKEN gives no access to it"
                          : "set HF_TOKEN to a key that may read it"));
      case 408, 429, 500, 502, 503, 504 ->
          throw new IOException("the server answered " + answer.status());
      default -> throw new FinalException("%s answered %d".formatted(uri, answer.status()));
    }
  }

  private static Optional<String> etag(HttpURLConnection connection, String header) {
    return Optional.ofNullable(connection.getHeaderField(header))
        .map(s -> s.replaceFirst("^W/", "").replace("\"", "").strip())
        .filter(s -> !s.isEmpty());
  }

  private static String reason(IOException e) {
    String kind = e.getClass() == IOException.class ? "" : e.getClass().getSimpleName();
    String text = e.getMessage() == null ? "" : e.getMessage();
    return kind.isEmpty() ? text : text.isEmpty() ? kind : kind + " (" + text + ")";
  }

  private static void pause(long ms) throws IOException {
    try {
      Thread.sleep(ms);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted between two tries", e);
    }
  }

  /** The answer of the last hop, its body not yet read. */
  private record Answer(HttpURLConnection connection, int status, Optional<String> etag) {
    /** Bytes of the body; -1 if the server does not say. */
    long length() {
      return connection.getContentLengthLong();
    }

    boolean startsAt(long from) {
      String range = connection.getHeaderField("Content-Range");
      return range != null && range.toLowerCase(Locale.ROOT).startsWith("bytes " + from + "-");
    }
  }

  /** A further try would end the same way. */
  private static final class FinalException extends IOException {
    private static final long serialVersionUID = 1L;

    FinalException(String message) {
      super(message);
    }
  }
}
