package io.chorale.adapter;

import io.chorale.adapter.read.AdapterContents;
import io.chorale.adapter.read.GgufReader;
import io.chorale.adapter.read.MlxReader;
import io.chorale.adapter.read.PeftReader;
import io.chorale.format.GgufFile;
import io.chorale.format.PeftAdapterFiles;
import io.chorale.format.SafetensorsFiles;
import io.chorale.lora.LoraWeights;
import io.chorale.model.ModelSpec;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * From an adapter's files to weights that one base can serve exactly, or a refusal with the precise
 * reason. Takes a PEFT folder ({@code adapter_config.json} and {@code adapter_model.safetensors};
 * pickled weights are refused, reading them can run code), an MLX folder ({@code
 * adapters.safetensors}), a folder with exactly one {@code .gguf}, or that file. The tensors are
 * copied to the heap in the file's own element type: the files may change afterwards.
 *
 * <p>Immutable; any thread; reads the disk.
 */
public final class AdapterLoader {
  /** 2 GiB. */
  public static final long DEFAULT_MAX_BYTES = 2L << 30;

  private static final int MAX_CONFIG_BYTES = 1 << 20;

  private final ModelSpec spec;
  private final String baseFingerprint;
  private final long maxBytes;

  /**
   * @param spec of the served base; every tensor's shape is checked against it
   * @param baseFingerprint an adapter that names another one is refused
   * @param maxAdapterBytes of all files of one adapter, checked before they are read
   */
  public AdapterLoader(ModelSpec spec, String baseFingerprint, long maxAdapterBytes) {
    this.spec = spec;
    this.baseFingerprint = baseFingerprint;
    this.maxBytes = maxAdapterBytes;
  }

  /**
   * A validated adapter.
   *
   * @param method lora, rslora or dora
   * @param rank the largest
   * @param fileSha256 by file name
   */
  public record Loaded(
      LoraWeights weights,
      String method,
      int rank,
      List<String> targetModules,
      Map<String, String> fileSha256) {

    /** Over the lines {@code <sha256> <file name>} in name order. */
    public String sha256() {
      StringBuilder lines = new StringBuilder();
      fileSha256.forEach((file, sha) -> lines.append(sha).append("  ").append(file).append('\n'));
      byte[] bytes = lines.toString().getBytes(StandardCharsets.UTF_8);
      return HexFormat.of().formatHex(AdapterLoader.sha256().digest(bytes));
    }

    Loaded relabelled(AdapterRef ref) {
      LoraWeights same = new LoraWeights(ref.toString(), weights.modules(), weights.bytes());
      return new Loaded(same, method, rank, targetModules, fileSha256);
    }
  }

  /**
   * Reads and validates.
   *
   * @param ref for labels and messages
   * @param path a folder or a {@code .gguf} file
   * @throws AdapterException INVALID_ADAPTER
   */
  public Loaded load(AdapterRef ref, Path path) {
    List<Path> files = filesOf(ref.name(), path);
    try {
      List<Stamp> before = stamps(files);
      checkSizes(files, before);
      AdapterContents contents = contents(files);
      Map<String, String> sha = new TreeMap<>();
      for (Path file : files) {
        sha.put(file.getFileName().toString(), sha256(file));
      }
      if (!before.equals(stamps(files))) {
        throw new IllegalArgumentException(
            "its files changed while they were read; write a new folder and register that");
      }
      return new Loaded(
          new LoraWeights(ref.toString(), contents.modules(), contents.bytes()),
          contents.method(),
          contents.rank(),
          contents.targetModules(),
          Collections.unmodifiableMap(sha));
    } catch (IllegalArgumentException e) {
      throw refused(ref, files, e.getMessage(), e);
    } catch (FileSystemException e) {
      throw refused(ref, files, "cannot read its files: " + e.getClass().getSimpleName(), e);
    } catch (IOException e) { // not readable as its format says
      throw refused(ref, files, e.getMessage(), e);
    } catch (InternalError e) { // a mapped file that was cut short under us
      throw refused(ref, files, "its files were cut short while they were read", e);
    }
  }

  /**
   * The files that make up the adapter at a path.
   *
   * @throws AdapterException INVALID_ADAPTER if they are not there, or not files
   */
  static List<Path> filesOf(String adapter, Path path) {
    try {
      List<Path> files = Files.isDirectory(path) ? inFolder(path) : List.of(path);
      for (Path file : files) {
        if (!Files.isRegularFile(file)) {
          throw new IllegalArgumentException(file.getFileName() + " is not a regular file");
        }
      }
      if (files.size() == 1 && !isGguf(files.get(0))) {
        throw new IllegalArgumentException(
            files.get(0).getFileName() + " is neither a PEFT folder nor a .gguf file");
      }
      return files;
    } catch (IllegalArgumentException e) {
      throw AdapterException.invalid(adapter, e.getMessage());
    } catch (IOException e) {
      throw AdapterException.invalid(
          adapter, "cannot read its folder: " + e.getClass().getSimpleName());
    }
  }

  private static List<Path> inFolder(Path folder) throws IOException {
    List<String> names = new ArrayList<>();
    try (Stream<Path> children = Files.list(folder)) {
      children.map(child -> child.getFileName().toString()).sorted().forEach(names::add);
    }
    if (names.contains(PeftAdapterFiles.CONFIG)) {
      if (names.contains(MlxReader.WEIGHTS) && !names.contains(PeftAdapterFiles.WEIGHTS)) {
        return List.of(folder.resolve(PeftAdapterFiles.CONFIG), folder.resolve(MlxReader.WEIGHTS));
      }
      if (!names.contains(PeftAdapterFiles.WEIGHTS)) {
        throw new IllegalArgumentException(noWeights(names));
      }
      return List.of(
          folder.resolve(PeftAdapterFiles.CONFIG), folder.resolve(PeftAdapterFiles.WEIGHTS));
    }
    List<Path> gguf = names.stream().map(folder::resolve).filter(AdapterLoader::isGguf).toList();
    if (gguf.size() != 1) {
      throw new IllegalArgumentException(
          gguf.isEmpty()
              ? "its folder has no adapter_config.json and no .gguf file"
              : "its folder has %d .gguf files, wanted one; name the file".formatted(gguf.size()));
    }
    return gguf;
  }

  private static String noWeights(List<String> names) {
    for (String name : names) {
      if (name.matches(".*\\.(bin|pt|pth|ckpt|pkl)")) {
        return "its weights are pickled (%s), and reading a pickle can run code; save them with PEFT as safetensors"
            .formatted(name);
      }
      if (name.matches("adapter_model.*(-of-.*\\.safetensors|\\.index\\.json)")) {
        return "its weights are sharded (%s); save them as one adapter_model.safetensors"
            .formatted(name);
      }
    }
    return "its folder has no adapter_model.safetensors";
  }

  private static boolean isGguf(Path file) {
    return file.getFileName().toString().endsWith(".gguf");
  }

  private AdapterContents contents(List<Path> files) throws IOException {
    if (files.size() == 1) {
      try (GgufFile file = GgufFile.open(files.get(0))) {
        return GgufReader.read(file.metadata(), file, spec);
      }
    }
    byte[] json = Files.readAllBytes(files.get(0));
    try (SafetensorsFiles tensors = SafetensorsFiles.open(files.get(1))) {
      if (files.get(1).endsWith(MlxReader.WEIGHTS)) {
        return MlxReader.read(json, tensors, spec);
      }
      PeftAdapterFiles.Config config = PeftAdapterFiles.config(json);
      return PeftReader.read(config, tensors, spec, baseFingerprint);
    }
  }

  private void checkSizes(List<Path> files, List<Stamp> stamps) {
    long sum = stamps.stream().mapToLong(Stamp::size).sum();
    if (sum > maxBytes) {
      throw new IllegalArgumentException(
          "its files take %d bytes, at most %d are allowed".formatted(sum, maxBytes));
    }
    if (files.size() == 2 && stamps.get(0).size() > MAX_CONFIG_BYTES) {
      throw new IllegalArgumentException(
          "adapter_config.json takes %d bytes, at most %d are read"
              .formatted(stamps.get(0).size(), MAX_CONFIG_BYTES));
    }
    if (sum > freeHeap()) {
      System.gc(); // what looked taken may be garbage; a pause is better than a refusal
    }
    long free = freeHeap();
    if (sum > free) {
      throw new IllegalArgumentException(
          "its files take %d bytes, %d of the Java heap are free; start the server with a larger -Xmx"
              .formatted(sum, free));
    }
  }

  private static long freeHeap() {
    Runtime heap = Runtime.getRuntime();
    return heap.maxMemory() - heap.totalMemory() + heap.freeMemory();
  }

  private record Stamp(long size, FileTime modified, Object key) {}

  private static List<Stamp> stamps(List<Path> files) throws IOException {
    List<Stamp> stamps = new ArrayList<>();
    for (Path file : files) {
      var attributes = Files.readAttributes(file, BasicFileAttributes.class);
      Object key = attributes.fileKey() == null ? file : attributes.fileKey();
      stamps.add(new Stamp(attributes.size(), attributes.lastModifiedTime(), key));
    }
    return stamps;
  }

  private static String sha256(Path file) throws IOException {
    MessageDigest digest = sha256();
    try (InputStream in = new DigestInputStream(Files.newInputStream(file), digest)) {
      in.transferTo(OutputStream.nullOutputStream());
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  /** The reason without the server's folders in it. */
  private static AdapterException refused(
      AdapterRef ref, List<Path> files, String reason, Throwable cause) {
    String folder = files.get(0).toAbsolutePath().getParent() + "/";
    return new AdapterException(
        AdapterException.Code.INVALID_ADAPTER,
        "adapter '" + ref.name() + "': " + reason.replace(folder, ""),
        cause);
  }
}
