package io.chorale.app.store;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.RealModel;
import io.chorale.RealModelFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

@RealModel
class DefaultModelTest {

  @Test
  void realModelIsAGgufFileOrAFolderWithAConfig() throws Exception {
    // When
    Path path = RealModelFile.path();
    // Then
    assertTrue(Files.isRegularFile(path.resolve("config.json")) || isGguf(path), path.toString());
  }

  private static boolean isGguf(Path file) throws Exception {
    try (var in = Files.newInputStream(file)) {
      return new String(in.readNBytes(4), StandardCharsets.US_ASCII).equals("GGUF");
    }
  }
}
