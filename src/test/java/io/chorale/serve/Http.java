package io.chorale.serve;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.eclipse.microprofile.config.ConfigProvider;

/** Requests to the server under test, with the inference key unless another is given. */
public final class Http {
  private static final HttpClient CLIENT =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private static final ObjectMapper JSON = new ObjectMapper();

  private Http() {}

  /**
   * An answer.
   *
   * @param body exactly as it was sent
   */
  public record Answer(int status, String body, HttpResponse<String> response) {
    public JsonNode json() {
      return Http.json(body);
    }

    public String header(String name) {
      return response.headers().firstValue(name).orElse(null);
    }

    public String errorCode() {
      return json().path("error").path("code").asText();
    }

    public String errorParam() {
      return json().path("error").path("param").asText();
    }

    public String errorMessage() {
      return json().path("error").path("message").asText();
    }

    /** The data of each event, the closing [DONE] included. */
    public List<String> events() {
      List<String> events = new ArrayList<>();
      for (String event : body.split("\n\n")) {
        if (!event.startsWith("data: ")) {
          throw new AssertionError("not an event: " + event);
        }
        events.add(event.substring("data: ".length()));
      }
      return events;
    }

    /** Every event but [DONE]. */
    public List<JsonNode> chunks() {
      return events().stream().filter(e -> !e.equals("[DONE]")).map(Http::json).toList();
    }
  }

  public static JsonNode json(String text) {
    try {
      return JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw new AssertionError("not JSON: " + text, e);
    }
  }

  public static URI uri(String path) {
    String base = ConfigProvider.getConfig().getValue("test.url", String.class);
    return URI.create(base.replaceAll("/$", "") + path);
  }

  public static Answer get(String path) {
    return send("GET", path, null, ServeBeans.API_KEY);
  }

  public static Answer post(String path, String body) {
    return send("POST", path, body, ServeBeans.API_KEY);
  }

  /** A chat with the base model; fields is JSON without braces, such as {@code "n":2}. */
  public static Answer chat(String fields) {
    return chatWith(ServeBeans.BASE, fields);
  }

  public static Answer chatWith(String model, String fields) {
    return post(
        "/v1/chat/completions",
        "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]%s}"
            .formatted(model, fields.isEmpty() ? "" : "," + fields));
  }

  public static Answer complete(String fields) {
    return post("/v1/completions", "{\"model\":\"%s\",%s}".formatted(ServeBeans.BASE, fields));
  }

  /**
   * @param key null for no Authorization header
   * @param headers names and values in turn
   */
  public static Answer send(
      String method, String path, String body, String key, String... headers) {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(uri(path))
            .timeout(Duration.ofSeconds(20))
            .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body));
    if (body != null) {
      request.header("Content-Type", "application/json");
    }
    if (key != null) {
      request.header("Authorization", "Bearer " + key);
    }
    for (int i = 0; i < headers.length; i += 2) {
      request.setHeader(headers[i], headers[i + 1]);
    }
    try {
      HttpResponse<String> response = CLIENT.send(request.build(), BodyHandlers.ofString());
      return new Answer(response.statusCode(), response.body(), response);
    } catch (IOException e) {
      throw new AssertionError(method + " " + path + " got no answer", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }
}
