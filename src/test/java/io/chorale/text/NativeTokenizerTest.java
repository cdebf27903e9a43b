package io.chorale.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class NativeTokenizerTest {
  @Test
  void secondClassLoaderOfTheSameJvmLoadsTheLibraryToo() throws Exception {
    // Given: the JVM ties a library file to the first class loader that loads it
    GoldenTokenizer golden = GoldenTokenizer.of("llama3-style");
    int[] expected = golden.tokenizer().encode("over the lazy dog", true);
    try (var loader = new URLClassLoader(classPath(), ClassLoader.getPlatformClassLoader())) {
      Class<?> other = loader.loadClass(Tokenizer.class.getName());
      assertNotSame(Tokenizer.class, other);
      // When
      Object tokenizer = other.getMethod("fromJson", String.class).invoke(null, golden.json());
      Object ids =
          other
              .getMethod("encode", String.class, boolean.class)
              .invoke(tokenizer, "over the lazy dog", true);
      // Then
      assertArrayEquals(expected, (int[]) ids);
      assertNull(System.getProperty("RUST_LIBRARY_PATH"));
    }
  }

  @Test
  void refusalOfTheLibraryNamesTheFileAndTheReason() {
    // Given
    String json = "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"b\"]]}}";
    // When
    var error = assertThrows(IllegalArgumentException.class, () -> new NativeTokenizer(json));
    // Then
    assertTrue(error.getMessage().startsWith("tokenizer.json was refused"), error.getMessage());
    assertTrue(error.getMessage().contains("`b` out of vocabulary"), error.getMessage());
  }

  private static URL[] classPath() {
    return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .map(
            entry -> {
              try {
                return Path.of(entry).toUri().toURL();
              } catch (java.net.MalformedURLException e) {
                throw new IllegalStateException(e);
              }
            })
        .toArray(URL[]::new);
  }
}
