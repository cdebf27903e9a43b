package io.chorale.app;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ServerTest {
  @TempDir Path temp;

  @ParameterizedTest
  @CsvSource({
    "SmolLM2-135M-Instruct.Q4_1.gguf, SmolLM2-135M-Instruct",
    "qwen2.5-0.5b-instruct-q4_k_m.gguf, qwen2.5-0.5b-instruct",
    "model-F16.gguf, model",
    "my model, my-model",
  })
  void fileIsServedUnderItsNameWithoutItsForm(String file, String name) throws Exception {
    // Given
    Path path = Files.createFile(temp.resolve(file));
    // When
    String served = Server.apiName(Optional.of(path.toString()), path);
    // Then
    assertEquals(name, served);
  }

  @Test
  void hubModelIsServedUnderItsId() {
    assertEquals(
        "org/name", Server.apiName(Optional.of("org/name"), temp.resolve("org--name@main/hf")));
  }
}
