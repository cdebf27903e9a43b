package io.chorale.it;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * A folder for {@code --adapter-root} that starts empty: tiny adapters lie two levels down, where a
 * start-up does not look, ready to be registered by path.
 */
public final class AdapterRoot {
  private static final Path GOLDEN = Path.of("src/test/resources/golden/adapters");
  private final Path folder;

  /**
   * @param temp where root and state folder are made
   * @param adapters of golden/adapters
   */
  public AdapterRoot(Path temp, String... adapters) throws IOException {
    this.folder = Files.createDirectories(temp.resolve("root"));
    for (String adapter : adapters) {
      copy(adapter, "kept/" + adapter);
    }
  }

  /** Copies a golden adapter to a path below the root. */
  public void copy(String adapter, String path) throws IOException {
    copy(GOLDEN.resolve(adapter), path);
  }

  /** Copies an adapter's folder to a path below the root. */
  void copy(Path source, String path) throws IOException {
    Path target = Files.createDirectories(folder.resolve(path));
    try (Stream<Path> files = Files.list(source)) {
      for (Path file :
          files.filter(f -> f.getFileName().toString().startsWith("adapter")).toList()) {
        Files.copy(file, target.resolve(file.getFileName().toString()));
      }
    }
  }

  /** What a tiny server over this root is started with. */
  public List<String> options(String... more) {
    List<String> all =
        List.of(
            "--model",
            ServerProcess.TINY_MODEL.toString(),
            "--kv-memory",
            "1MiB",
            "--threads",
            "1");
    return Stream.of(all, place(), List.of(more)).flatMap(List::stream).toList();
  }

  /** The options that name this root, and a state folder beside it. */
  List<String> place() {
    String state = folder.resolveSibling("state").toString();
    return List.of("--adapter-root", folder.toString(), "--state-dir", state);
  }
}
