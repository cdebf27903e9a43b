package io.chorale.format;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Path;

/** Finds golden files and their tensors for tests. */
public final class GoldenFiles {
  private GoldenFiles() {}

  /** A file or folder under src/test/resources/golden. */
  public static Path path(String under) {
    URL url = GoldenFiles.class.getResource("/golden/" + under);
    if (url == null) {
      throw new IllegalArgumentException("no golden file " + under);
    }
    try {
      return Path.of(url.toURI());
    } catch (URISyntaxException e) {
      throw new IllegalArgumentException(e);
    }
  }

  /** The tensors of a golden safetensors file. */
  public static SafetensorsFiles tensors(String under) {
    try {
      return SafetensorsFiles.open(path(under));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The bytes of a tensor. */
  public static byte[] bytes(TensorSource source, String name) {
    return source.tensor(name).copyToHeap().bytes().array();
  }
}
