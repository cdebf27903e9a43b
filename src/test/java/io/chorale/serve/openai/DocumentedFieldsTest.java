package io.chorale.serve.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.serve.RequestFields;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.yaml.snakeyaml.Yaml;

/** Holds what is written about request fields to what the server reads. */
class DocumentedFieldsTest {
  private static final Path OPENAPI = Path.of("src/main/resources/META-INF/openapi.yaml");
  private static final Path COMPAT = Path.of("docs/openai-compat.md");
  private static final String CHAT =
      "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";
  private static final String TEXT = "{\"model\":\"m\",\"prompt\":\"x\"}";

  @Test
  void everyFieldOfTheSchemasIsReadByTheServer() throws IOException {
    // Given
    JsonNode schemas = schemas();
    Set<String> chat = properties(schemas, "ChatCompletionRequest");
    Set<String> text = properties(schemas, "CompletionRequest");
    // When
    chat.removeAll(chatFields());
    text.removeAll(textFields());
    // Then
    assertEquals(Set.of(), chat);
    assertEquals(Set.of(), text);
  }

  @Test
  void everyFieldThatTheServerReadsIsInTheCompatibilityTable() throws IOException {
    // Given
    String document = Files.readString(COMPAT);
    Set<String> fields = chatFields();
    fields.addAll(textFields());
    // When
    fields.removeIf(field -> document.contains("`" + field + "`"));
    // Then
    assertEquals(Set.of(), fields);
  }

  @Test
  void everyTestNamedInTheCompatibilityTableExists() throws IOException {
    // Given
    String document = Files.readString(COMPAT);
    var names = java.util.regex.Pattern.compile("`(\\w+(?:IT|Test))\\.(\\w+)`").matcher(document);
    int found = 0;
    while (names.find()) {
      found++;
      // When
      Path file = source(names.group(1));
      // Then
      assertTrue(Files.readString(file).contains("void " + names.group(2) + "("), names.group());
    }
    assertTrue(found > 10, "tests named: " + found);
  }

  private static Path source(String test) throws IOException {
    try (var files = Files.walk(Path.of("src/test/java/io/chorale"))) {
      return files
          .filter(f -> f.getFileName().toString().equals(test + ".java"))
          .findFirst()
          .orElseThrow(() -> new AssertionError("no test class " + test));
    }
  }

  private static Set<String> chatFields() {
    RequestFields fields = RequestFields.parse(CHAT.getBytes(StandardCharsets.UTF_8));
    ChatRequest.read(fields, 10);
    return new TreeSet<>(fields.known());
  }

  private static Set<String> textFields() {
    RequestFields fields = RequestFields.parse(TEXT.getBytes(StandardCharsets.UTF_8));
    CompletionRequest.read(fields, 10);
    return new TreeSet<>(fields.known());
  }

  private static JsonNode schemas() throws IOException {
    Object yaml = new Yaml().load(Files.readString(OPENAPI));
    return new ObjectMapper().<JsonNode>valueToTree(yaml).at("/components/schemas");
  }

  private static Set<String> properties(JsonNode schemas, String name) {
    Set<String> names = new TreeSet<>();
    schemas.path("Sampling").path("properties").fieldNames().forEachRemaining(names::add);
    for (JsonNode part : schemas.path(name).path("allOf")) {
      part.path("properties").fieldNames().forEachRemaining(names::add);
    }
    return names;
  }
}
