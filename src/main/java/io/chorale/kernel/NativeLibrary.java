package io.chorale.kernel;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * {@code libchorale.so}, loaded at most once per class loader from a fresh copy: the JVM lets a
 * file be loaded by one class loader only, and Quarkus has several. Why it could not be loaded is
 * kept. Any thread.
 */
public final class NativeLibrary {
  private static final String RESOURCE = "/native/linux-x86_64/libchorale.so";

  /** Instruction sets, each needing more of the machine; ordinals are the library's numbers. */
  public enum InstructionSet {
    SCALAR,
    AVX2,
    AVX512;

    /** As in names and settings, such as {@code avx2}. */
    public String label() {
      return name().toLowerCase(Locale.ROOT);
    }

    /**
     * @throws IllegalArgumentException if the name is unknown
     */
    public static InstructionSet parse(String name) {
      for (InstructionSet set : values()) {
        if (set.label().equals(name.strip().toLowerCase(Locale.ROOT))) {
          return set;
        }
      }
      throw new IllegalArgumentException(
          "CHORALE_CPU is '%s', wanted scalar, avx2 or avx512".formatted(name));
    }
  }

  private static final String FAILURE = load();

  private NativeLibrary() {}

  /** Empty if the library is loaded, else why not. */
  public static Optional<String> failure() {
    return Optional.ofNullable(FAILURE);
  }

  /** What this machine can run, best last; empty if the library is not loaded. */
  public static List<InstructionSet> supported() {
    if (FAILURE != null) {
      return List.of();
    }
    return List.of(InstructionSet.values()).subList(0, NativeCalls.bestPath() + 1);
  }

  /**
   * The best instruction set, or what the system property {@code chorale.cpu} or the environment
   * variable {@code CHORALE_CPU} names.
   *
   * @throws IllegalArgumentException if it names none that this machine has
   * @throws IllegalStateException if the library is not loaded
   */
  public static InstructionSet chosen() {
    List<InstructionSet> supported = supported();
    if (supported.isEmpty()) {
      throw new IllegalStateException("native kernels: " + FAILURE);
    }
    String named = System.getProperty("chorale.cpu", System.getenv("CHORALE_CPU"));
    if (named == null || named.isBlank()) {
      return supported.get(supported.size() - 1);
    }
    InstructionSet set = InstructionSet.parse(named);
    if (!supported.contains(set)) {
      throw new IllegalArgumentException(
          "CHORALE_CPU is '%s', this machine has %s"
              .formatted(named, Stream.of(supported.toArray()).toList()));
    }
    return set;
  }

  /** Loads it; the error's text, or null. */
  private static String load() {
    try (InputStream in = NativeLibrary.class.getResourceAsStream(RESOURCE)) {
      if (in == null) {
        return "this build has no native library ("
            + RESOURCE
            + "); it is built where Maven finds a C++ compiler on Linux x86-64";
      }
      Path copy = Files.createTempFile("libchorale", ".so");
      try {
        Files.copy(in, copy, StandardCopyOption.REPLACE_EXISTING);
        System.load(copy.toAbsolutePath().toString());
      } finally {
        Files.deleteIfExists(copy); // the mapping stays
      }
      return null;
    } catch (IOException | UnsatisfiedLinkError | SecurityException e) {
      return "the native library does not load: " + e.getMessage();
    }
  }
}
