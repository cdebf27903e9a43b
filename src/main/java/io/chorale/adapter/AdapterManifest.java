package io.chorale.adapter;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;

/**
 * The registrations as remembered in {@code adapters.json} of the state folder: replaced whole, by
 * write, sync, rename, sync, so that after a crash at any point the file is the old or the new one.
 * Guarded by its own lock; any thread.
 */
final class AdapterManifest {
  private static final int FORMAT = 1;
  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(SerializationFeature.INDENT_OUTPUT)
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  /**
   * One name, registered or not any more.
   *
   * @param path relative to an adapter root, or absolute
   * @param version the last one given to this name; versions never go back
   * @param removed by a request: not to be found again by the start-up scan
   * @param files sha256 by file name; empty when removed
   */
  record Entry(String path, int version, boolean removed, Map<String, String> files) {
    Entry {
      files = Collections.unmodifiableMap(new TreeMap<>(files));
    }
  }

  private record Document(int format, Map<String, Entry> adapters) {}

  private final Path file;
  private final FileOps ops;
  private Map<String, Entry> entries;
  private boolean together;

  private AdapterManifest(Path file, FileOps ops, Map<String, Entry> entries) {
    this.file = file;
    this.ops = ops;
    this.entries = entries;
  }

  Path folder() {
    return file.getParent();
  }

  /**
   * Reads the manifest of a state folder, which is created if it is not there.
   *
   * @throws IllegalStateException if the file is there and cannot be understood: starting without
   *     it would silently drop registrations
   */
  static AdapterManifest open(Path stateDir, FileOps ops) {
    Path file = stateDir.resolve("adapters.json");
    try {
      Files.createDirectories(stateDir);
      if (!Files.exists(file)) {
        return new AdapterManifest(file, ops, new TreeMap<>());
      }
      Document document = JSON.readValue(Files.readAllBytes(file), Document.class);
      if (document.format() != FORMAT || document.adapters() == null) {
        throw damaged(file, "format is " + document.format() + ", wanted " + FORMAT, null);
      }
      return new AdapterManifest(file, ops, new TreeMap<>(document.adapters()));
    } catch (JacksonException | NullPointerException e) {
      throw damaged(file, e.getMessage(), e);
    } catch (IOException e) {
      throw new UncheckedIOException("adapter state " + file + ": " + e.getMessage(), e);
    }
  }

  synchronized Map<String, Entry> entries() {
    return Map.copyOf(entries);
  }

  synchronized Entry entry(String name) {
    return entries.get(name);
  }

  /** The next version of a name, from 1. */
  synchronized int nextVersion(String name) {
    Entry entry = entries.get(name);
    return entry == null ? 1 : Math.addExact(entry.version(), 1);
  }

  /**
   * Remembers an entry durably: when this returns it survives a power cut, when it throws the entry
   * is what it was.
   *
   * @throws UncheckedIOException if the disk refuses
   */
  synchronized void put(String name, Entry entry) {
    Map<String, Entry> changed = new TreeMap<>(entries);
    changed.put(name, entry);
    if (together) { // saved once, at the end
      entries = changed;
      return;
    }
    try {
      save(changed);
    } catch (IOException e) {
      undo(e);
      throw new UncheckedIOException(
          "adapter '%s' was not registered: cannot write %s: %s"
              .formatted(name, file, e.getMessage()),
          e);
    }
    entries = changed;
  }

  /**
   * Runs work whose entries are remembered together, by one write when it is done: a thousand
   * registrations at start-up are one. A crash before that forgets them all, so nothing may be
   * served of them until this returns.
   *
   * @throws UncheckedIOException if the disk refuses
   */
  void together(Runnable work) {
    Map<String, Entry> before = entries();
    hold(true);
    try {
      work.run();
    } finally {
      hold(false);
    }
    saveIfChanged(before);
  }

  private synchronized void hold(boolean on) {
    together = on;
  }

  private synchronized void saveIfChanged(Map<String, Entry> before) {
    if (entries.equals(before)) {
      return;
    }
    try {
      save(entries);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + file + ": " + e.getMessage(), e);
    }
  }

  private void save(Map<String, Entry> changed) throws IOException {
    Path temporary = file.resolveSibling(file.getFileName() + ".tmp");
    ops.write(temporary, JSON.writeValueAsBytes(new Document(FORMAT, changed)));
    ops.syncFile(temporary);
    ops.replace(temporary, file);
    ops.syncDirectory(file.getParent());
  }

  /** The rename may have happened before the failure: put the old content back if we can. */
  private void undo(IOException failure) {
    try {
      save(entries);
    } catch (IOException again) {
      failure.addSuppressed(again);
    }
  }

  private static IllegalStateException damaged(Path file, String what, Exception cause) {
    return new IllegalStateException(
        "adapter state "
            + file
            + " is damaged ("
            + what
            + "); restore it from a copy, or move it away to start without remembered adapters",
        cause);
  }
}
