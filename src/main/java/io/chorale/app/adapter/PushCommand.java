package io.chorale.app.adapter;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.chorale.app.UsageException;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * {@code chorale push}: an adapter's files to a running server, in parts; then the name switches.
 */
@Command(
    name = "push",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Upload an adapter to a running server and switch its name to it.",
    footer = {
      "",
      "The server checks the files, and scores the text that the trainer recorded in chorale.json:",
      "if it does not compute what the trainer did, the name keeps the version it had. Running",
      "requests finish on the version they started with."
    })
public final class PushCommand implements Callable<Integer> {
  private static final int HTTP_OK = 200;
  private static final int HTTP_CREATED = 201;
  private static final long PROGRESS_MS = 2000;
  private static final List<String> SIDE_FILES = List.of("chorale.json", "README.md");
  private static final List<String> ADAPTER_FILES =
      List.of("adapter_config.json", "adapter_model.safetensors", "adapters.safetensors");

  @Spec CommandSpec spec;

  @Parameters(paramLabel = "ADAPTER", description = "Folder of the adapter, or a .gguf file.")
  Path adapter;

  @Option(
      names = "--server",
      paramLabel = "URL",
      defaultValue = "http://127.0.0.1:8000",
      description = "Where it runs. Default: ${DEFAULT-VALUE}")
  String server;

  @Option(
      names = "--name",
      paramLabel = "NAME",
      description = "The adapter's name there. Default: the folder's.")
  String name;

  @Option(
      names = "--admin-key-file",
      paramLabel = "FILE",
      description = "The server's admin key; not needed on the server's own machine without one.")
  Path adminKeyFile;

  @Option(
      names = "--expected-version",
      paramLabel = "N",
      description = "Switch only if this version is current; 0: only if there is none.")
  Integer expectedVersion;

  private final ObjectMapper json = new ObjectMapper();
  private HttpClient client;
  private String key;
  private long lastMs = nowMs();

  @Override
  public Integer call() throws IOException, InterruptedException {
    PrintWriter out = spec.commandLine().getOut();
    // Not with the command, which is made at every start: this reads all of Java's certificates.
    client =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(10))
            .build();
    List<Path> files = files();
    if (name == null) {
      name =
          adapter
              .toAbsolutePath()
              .normalize()
              .getFileName()
              .toString()
              .replaceFirst("\\.gguf$", "");
    }
    key = adminKeyFile == null ? null : Files.readString(adminKeyFile).strip();
    JsonNode upload = send("POST", "/admin/uploads", "application/json", new byte[0]);
    String id = upload.path("id").asText();
    boolean registered = false;
    try {
      long total = 0;
      for (Path file : files) {
        total += Files.size(file);
      }
      long sent = 0;
      for (Path file : files) {
        sent += upload(id, file, upload.path("max_part_bytes").asInt(1 << 20), sent, total);
      }
      ObjectNode body = json.createObjectNode().put("upload", id).put("sha256", sha256(files));
      if (expectedVersion != null) {
        body.put("expected_version", expectedVersion);
      }
      JsonNode info =
          send("PUT", "/admin/adapters/" + name, "application/json", json.writeValueAsBytes(body));
      registered = true;
      boolean canary = files.stream().anyMatch(file -> file.endsWith("chorale.json"));
      out.printf(
          "pushed %s: version %d of '%s' on %s, %s, rank %d, %.1f MB, %s%n",
          adapter,
          info.path("version").asInt(),
          name,
          server,
          info.path("method").asText(),
          info.path("rank").asInt(),
          total / 1e6,
          canary ? "checked against the trainer's canary" : "without a canary (no chorale.json)");
      out.flush();
    } finally {
      if (!registered) {
        abandon(id);
      }
    }
    return 0;
  }

  private List<Path> files() throws IOException {
    if (!Files.exists(adapter)) {
      throw new NoSuchFileException(adapter + ": no such adapter folder or file");
    }
    if (!Files.isDirectory(adapter)) {
      if (!adapter.toString().endsWith(".gguf")) {
        throw new UsageException(adapter + " is neither an adapter's folder nor a .gguf file");
      }
      return List.of(adapter);
    }
    try (Stream<Path> children = Files.list(adapter)) {
      List<Path> files =
          children
              .filter(
                  child -> {
                    String file = child.getFileName().toString();
                    return ADAPTER_FILES.contains(file)
                        || SIDE_FILES.contains(file)
                        || file.endsWith(".gguf");
                  })
              .sorted()
              .toList();
      if (files.stream().allMatch(file -> SIDE_FILES.contains(file.getFileName().toString()))) {
        throw new UsageException(
            adapter + " holds no adapter; wanted adapter_config.json with its weights, or a .gguf");
      }
      return files;
    }
  }

  private long upload(String id, Path file, int partBytes, long before, long total)
      throws IOException, InterruptedException {
    long offset = 0;
    try (InputStream in = Files.newInputStream(file)) {
      for (byte[] part = in.readNBytes(partBytes);
          part.length > 0 || offset == 0;
          part = in.readNBytes(partBytes)) {
        send(
            "PUT",
            "/admin/uploads/" + id + "/" + file.getFileName() + "?offset=" + offset,
            "application/octet-stream",
            part);
        offset += part.length;
        progress(before + offset, total);
        if (part.length == 0) {
          break;
        }
      }
    }
    return offset;
  }

  private void progress(long done, long total) {
    if (nowMs() - lastMs >= PROGRESS_MS) {
      lastMs = nowMs();
      PrintWriter err = spec.commandLine().getErr();
      err.printf(
          "pushing: %.0f %%, %.1f of %.1f MB%n", 100.0 * done / total, done / 1e6, total / 1e6);
      err.flush();
    }
  }

  private void abandon(String id) throws InterruptedException {
    try {
      send("DELETE", "/admin/uploads/" + id, "application/json", new byte[0]);
    } catch (IOException e) {
      // The failure that brought us here is what the user must read; the server forgets old
      // uploads.
    }
  }

  private JsonNode send(String method, String path, String type, byte[] body)
      throws IOException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(server.replaceFirst("/+$", "") + path))
            .timeout(Duration.ofSeconds(120))
            .header("Content-Type", type)
            .method(method, BodyPublishers.ofByteArray(body));
    if (key != null) {
      request.header("Authorization", "Bearer " + key);
    }
    HttpResponse<String> answer;
    try {
      answer = client.send(request.build(), BodyHandlers.ofString());
    } catch (ConnectException e) {
      throw new IOException(
          "nothing answers at %s; start it with ./chorale serve, or give --server URL"
              .formatted(server),
          e);
    }
    if (answer.statusCode() != HTTP_OK
        && answer.statusCode() != HTTP_CREATED
        && answer.statusCode() != 204) {
      throw new IOException(
          "%s answered %d: %s".formatted(server, answer.statusCode(), message(answer.body())));
    }
    return json.readTree(answer.body().isEmpty() ? "{}" : answer.body());
  }

  private String message(String body) {
    try {
      String message = json.readTree(body).at("/error/message").asText();
      return message.isEmpty() ? body : message;
    } catch (IOException e) {
      return body.isBlank() ? "(nothing)" : body;
    }
  }

  /** As the server computes it: over the lines "sha256 name" of what it reads, in name order. */
  private static String sha256(List<Path> files) throws IOException {
    StringBuilder lines = new StringBuilder();
    for (Path file : files) {
      String name = file.getFileName().toString();
      if (!SIDE_FILES.contains(name)) {
        lines.append(hex(Files.readAllBytes(file))).append("  ").append(name).append('\n');
      }
    }
    return hex(lines.toString().getBytes(StandardCharsets.UTF_8));
  }

  private static String hex(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  private static long nowMs() {
    return System.nanoTime() / 1_000_000;
  }
}
