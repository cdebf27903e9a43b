package io.chorale.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.text.jinja.Template.Limits;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;

/** Against what transformers rendered; see golden/chat-template/README.md. */
class ChatTemplateGoldenTest {
  private static final Path GOLDEN = Path.of("src/test/resources/golden/chat-template");
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Clock CLOCK =
      Clock.fixed(Instant.parse("2026-03-05T14:07:09Z"), ZoneOffset.UTC);

  /** Snippets whose filter or method is refused by name: they render in Python. */
  private static final Set<String> REFUSED =
      Set.of(
          "filter-wordwrap",
          "filter-filesizeformat",
          "filter-pprint",
          "filter-xmlattr",
          "bytes-encode-refused-len");

  record Snippet(String name, String template, Map<String, Object> context, Object expected) {}

  record NamedContext(String name, Map<String, Object> context) {}

  record RealTemplate(String template, List<Object> expected) {}

  @Test
  void everySnippetRendersOrFailsAsInTransformers() throws IOException {
    // Given
    List<Snippet> snippets = read(GOLDEN.resolve("snippets.json"), new TypeReference<>() {});
    // When
    List<String> wrong = new ArrayList<>();
    for (Snippet snippet : snippets) {
      if (!REFUSED.contains(snippet.name())) {
        Renderer renderer = () -> render(snippet.template(), snippet.context());
        compare(snippet.name(), renderer, snippet.expected(), wrong);
      }
    }
    // Then
    assertTrue(snippets.size() > 200, "only " + snippets.size() + " snippets");
    assertEquals(List.of(), wrong);
  }

  @Test
  void everyRealTemplateRendersOrFailsAsInTransformers() throws Exception {
    // Given
    List<NamedContext> contexts =
        read(GOLDEN.resolve("contexts.json.gz"), new TypeReference<>() {});
    List<Path> files = templateFiles();
    // When
    List<String> wrong = new ArrayList<>();
    for (Path file : files) {
      RealTemplate real = read(file, new TypeReference<>() {});
      ChatTemplate template = parse(real.template());
      for (int i = 0; i < contexts.size(); i++) {
        String name = file.getFileName() + " " + contexts.get(i).name();
        Map<String, Object> context = contexts.get(i).context();
        compare(name, () -> template.render(context), real.expected().get(i), wrong);
      }
    }
    // Then
    assertTrue(files.size() > 100, "only " + files.size() + " templates");
    assertEquals(List.of(), wrong);
  }

  @Test
  void whatIsRefusedIsRefusedByName() throws IOException {
    // Given
    List<Snippet> snippets = read(GOLDEN.resolve("snippets.json"), new TypeReference<>() {});
    for (Snippet snippet : snippets) {
      if (REFUSED.contains(snippet.name())) {
        // When
        TemplateException refusal =
            assertThrows(
                TemplateException.class, () -> render(snippet.template(), snippet.context()));
        // Then
        assertTrue(refusal.getMessage().contains("is refused"), refusal.getMessage());
      }
    }
  }

  private static List<Path> templateFiles() throws IOException {
    try (Stream<Path> files = Files.list(GOLDEN)) {
      return files
          .filter(file -> file.getFileName().toString().startsWith("template-"))
          .sorted()
          .toList();
    }
  }

  private static <T> T read(Path file, TypeReference<T> type) throws IOException {
    try (InputStream raw = Files.newInputStream(file);
        InputStream in = file.toString().endsWith(".gz") ? new GZIPInputStream(raw) : raw) {
      return JSON.readValue(in, type);
    }
  }

  private static ChatTemplate parse(String template) throws TemplateException {
    return ChatTemplate.parse(template, CLOCK, Limits.DEFAULT);
  }

  private static String render(String template, Map<String, Object> context)
      throws TemplateException {
    return parse(template).render(context);
  }

  private interface Renderer {
    String render() throws TemplateException;
  }

  private static void compare(String name, Renderer renderer, Object expected, List<String> wrong) {
    String got;
    try {
      got = renderer.render();
    } catch (TemplateException failure) {
      if (expected instanceof String) {
        wrong.add(name + ": wanted a text, failed: " + failure.getMessage());
      }
      return;
    }
    if (!got.equals(expected)) {
      wrong.add(name + ": wanted <" + expected + ">, had <" + got + ">");
    }
  }
}
