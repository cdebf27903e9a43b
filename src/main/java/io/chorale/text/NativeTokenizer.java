package io.chorale.text;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/**
 * One tokenizer inside the native Hugging Face library: a {@code tokenizer.json} text in, ids and
 * text out. Freed when unreachable. Any thread; the native side takes no lock for reading.
 *
 * <p>It stands on DJL's JNI class, not on its {@code HuggingFaceTokenizer}: that one copies seven
 * parallel arrays (one object per token) for each text, and reports its start to a host of its
 * vendor. DJL's offline switch is set before the library is looked for, so nothing is downloaded:
 * the copy in the jar is unpacked into DJL's cache folder or the load fails.
 */
final class NativeTokenizer {
  private static final String OFFLINE = "ai.djl.offline";
  private static final String OVERRIDE = "RUST_LIBRARY_PATH";
  private static final String LOADED = "io.chorale.text.tokenizers-loaded";
  private static final Cleaner CLEANER = Cleaner.create();

  static {
    load();
  }

  private final long handle;

  NativeTokenizer(String json) {
    try {
      handle = TokenizersLibrary.LIB.createTokenizerFromString(json);
    } catch (RuntimeException e) {
      throw new IllegalArgumentException(
          "tokenizer.json was refused by the tokenizer library: " + e.getMessage(), e);
    }
    CLEANER.register(this, new Free(handle));
  }

  int[] encode(String text) {
    long encoding = TokenizersLibrary.LIB.encode(handle, text, false);
    try {
      long[] ids = TokenizersLibrary.LIB.getTokenIds(encoding);
      int[] narrow = new int[ids.length];
      for (int i = 0; i < ids.length; i++) {
        narrow[i] = (int) ids[i];
      }
      return narrow;
    } finally {
      TokenizersLibrary.LIB.deleteEncoding(encoding);
      Reference.reachabilityFence(this);
    }
  }

  String decode(int[] ids, boolean skipSpecial) {
    long[] wide = new long[ids.length];
    for (int i = 0; i < ids.length; i++) {
      wide[i] = ids[i];
    }
    try {
      return TokenizersLibrary.LIB.decode(handle, wide, skipSpecial);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * The JVM refuses one library file in two class loaders (tests and dev mode have several). The
   * first uses DJL's cache; a later one gets a private copy, named by DJL's own override (Linux and
   * macOS; on Windows the library has three companions and one class loader has to do).
   */
  private static void load() {
    synchronized (System.getProperties()) {
      if (System.getProperty(OFFLINE) == null) {
        System.setProperty(OFFLINE, "true");
      }
      boolean copied = System.getProperty(LOADED) != null && System.getProperty(OVERRIDE) == null;
      if (copied) {
        System.setProperty(OVERRIDE, privateCopy().toString());
      }
      try {
        LibUtils.checkStatus();
        System.setProperty(LOADED, "true");
      } finally {
        if (copied) {
          System.clearProperty(OVERRIDE);
        }
      }
    }
  }

  private static Path privateCopy() {
    String file = System.mapLibraryName("tokenizers");
    String resource = "native/lib/%s/cpu/%s".formatted(platform(), file);
    try (InputStream in = LibUtils.class.getClassLoader().getResourceAsStream(resource)) {
      if (in == null) {
        throw new IllegalStateException("no tokenizer library for this machine: " + resource);
      }
      Path folder = Files.createTempDirectory("chorale-tokenizers");
      Path copy = folder.resolve(file);
      Files.copy(in, copy);
      folder.toFile().deleteOnExit(); // deletions run in reverse order: the file goes first
      copy.toFile().deleteOnExit();
      return copy;
    } catch (IOException e) {
      throw new UncheckedIOException("cannot unpack " + resource, e);
    }
  }

  private static String platform() {
    String os = System.getProperty("os.name").toLowerCase(Locale.ROOT);
    String arch = System.getProperty("os.arch");
    String name = os.startsWith("win") ? "win" : os.startsWith("mac") ? "osx" : "linux";
    return name + "-" + (arch.equals("amd64") ? "x86_64" : arch);
  }

  private record Free(long handle) implements Runnable {
    @Override
    public void run() {
      TokenizersLibrary.LIB.deleteTokenizer(handle);
    }
  }
}
