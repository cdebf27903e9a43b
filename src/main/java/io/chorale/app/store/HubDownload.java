package io.chorale.app.store;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Brings a model's folder, or one GGUF file, from a hub with Hugging Face's layout ({@code
 * ENDPOINT/org/name/resolve/revision/file}). The folder appears only whole; an interrupted download
 * goes on with the next start.
 */
final class HubDownload {
  private static final List<String> REQUIRED = List.of("config.json", "tokenizer.json");
  private static final List<String> OPTIONAL =
      List.of("tokenizer_config.json", "generation_config.json", "chat_template.jinja");
  private static final String INDEX = "model.safetensors.index.json";
  private static final String SINGLE = "model.safetensors";

  private final String endpoint;
  private final HttpFile http;

  /**
   * @param endpoint such as {@code https://host}, without the model's path
   */
  HubDownload(String endpoint, HttpFile http) {
    this.endpoint = endpoint.replaceAll("/+$", "");
    this.http = http;
  }

  /** Where a finished download of this id lies. */
  static Path place(HubId id, Path hubFolder) {
    Path folder = hubFolder.resolve(id.folder());
    return id.file().isPresent()
        ? folder.resolve("gguf").resolve(id.file().get())
        : folder.resolve("hf");
  }

  /**
   * @return the GGUF file or the folder; the cache's lock is held by the caller
   */
  Path bring(HubId id, Path hubFolder) throws IOException {
    Path place = place(id, hubFolder);
    if (id.file().isPresent()) {
      Files.createDirectories(place.getParent());
      need(id, id.file().get(), place);
      return place;
    }
    Path part = place.resolveSibling("hf.part");
    Files.createDirectories(part);
    for (String name : REQUIRED) {
      need(id, name, part.resolve(name));
    }
    for (String name : OPTIONAL) {
      http.bring(uri(id, name), part.resolve(name));
    }
    if (http.bring(uri(id, INDEX), part.resolve(INDEX))) {
      for (String shard : shards(part.resolve(INDEX))) {
        need(id, shard, part.resolve(shard));
      }
    } else {
      need(id, SINGLE, part.resolve(SINGLE));
    }
    Bytes.publish(part, place);
    return place;
  }

  private void need(HubId id, String name, Path target) throws IOException {
    if (!http.bring(uri(id, name), target)) {
      throw new IOException("%s has no %s there (404)".formatted(id, name));
    }
  }

  private URI uri(HubId id, String name) {
    return URI.create(endpoint + id.path(name));
  }

  /** File names that the index gives; plain names only, so that none leaves the folder. */
  private static Set<String> shards(Path index) throws IOException {
    JsonNode map = new ObjectMapper().readTree(index.toFile()).path("weight_map");
    Set<String> names = new TreeSet<>();
    for (JsonNode file : map) {
      String name = file.asText();
      if (!name.matches("[A-Za-z0-9][A-Za-z0-9._-]*\\.safetensors")) {
        throw new IOException(
            "%s names the shard '%s', wanted a plain *.safetensors".formatted(INDEX, name));
      }
      names.add(name);
    }
    if (names.isEmpty()) {
      throw new IOException(INDEX + " names no shard in its weight_map");
    }
    return names;
  }
}
