package io.chorale.format;

import io.chorale.quant.TensorType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * One GGUF file, version 2 or 3, little-endian. Opening reads and checks the header only: counts
 * against the file's size, alignment, every tensor's bytes inside the file and apart from the
 * others'. Tensors are views, mapped one by one, so files may be larger than 2 GiB. Any thread
 * after opening.
 *
 * <p>Refused by name: other versions, big-endian files, parts of a split model. A tensor of a type
 * that {@link TensorType} lacks is refused when asked for, so a file with one is still readable
 * otherwise.
 *
 * <p>Source: ggml's docs/gguf.md.
 */
public final class GgufFile implements TensorSource {
  private static final int MAGIC = 0x46554747; // "GGUF"
  private static final int DEFAULT_ALIGNMENT = 32;
  private static final int MAX_DIMS = 4;

  private record Entry(String name, long[] shape, int typeId, long offset) {}

  private final MappedRegions regions;
  private final Map<String, Object> metadata;
  private final Map<String, Entry> entries;

  private GgufFile(
      MappedRegions regions, Map<String, Object> metadata, Map<String, Entry> entries) {
    this.regions = regions;
    this.metadata = metadata;
    this.entries = entries;
  }

  /**
   * Opens and checks a file.
   *
   * @throws IOException naming the file and what is wrong if it is no readable, whole GGUF file
   */
  public static GgufFile open(Path file) throws IOException {
    try (GgufReader in = new GgufReader(file)) {
      checkStart(in);
      long tensors = in.i64("the tensor count");
      Map<String, Object> metadata = in.metadata(in.i64("the metadata count"));
      refuseSplit(in, metadata);
      List<Entry> entries = new ArrayList<>();
      long count = in.bounded(tensors, 32, "the tensor list");
      for (long i = 0; i < count; i++) {
        entries.add(entry(in, i));
      }
      long alignment = alignment(in, metadata);
      long dataStart = (in.position() + alignment - 1) / alignment * alignment;
      Map<String, Entry> placed = place(in, entries, alignment, dataStart);
      return new GgufFile(new MappedRegions(file), metadata, placed);
    }
  }

  private static void checkStart(GgufReader in) throws IOException {
    int magic = in.i32("the magic number");
    if (magic != MAGIC) {
      throw in.bad("starts with %08x, wanted the letters GGUF", Integer.reverseBytes(magic));
    }
    int version = in.i32("the version");
    if ((version & 0xffff) == 0) {
      throw in.bad("is big-endian; only little-endian GGUF files are read");
    }
    if (version != 2 && version != 3) {
      throw in.bad("is GGUF version %d, wanted 2 or 3; convert it again", version);
    }
  }

  private static void refuseSplit(GgufReader in, Map<String, Object> metadata) throws IOException {
    if (metadata.get("split.count") instanceof Number parts && parts.longValue() > 1) {
      throw in.bad(
          "is one of %d parts of a split model; join them with llama-gguf-split --merge", parts);
    }
  }

  private static long alignment(GgufReader in, Map<String, Object> metadata) throws IOException {
    Object value = metadata.getOrDefault("general.alignment", DEFAULT_ALIGNMENT);
    if (!(value instanceof Integer n) || Integer.bitCount(n) != 1 || n < 1 || n > 1 << 20) {
      throw in.bad("general.alignment is %s, wanted a power of two up to 1 MiB", value);
    }
    return n;
  }

  private static Entry entry(GgufReader in, long index) throws IOException {
    String name = in.string("the name of tensor " + index);
    int dims = in.i32(name);
    if (dims < 1 || dims > MAX_DIMS) {
      throw in.bad("tensor '%s' has %d dimensions, wanted 1 to %d", name, dims, MAX_DIMS);
    }
    long[] shape = new long[dims];
    for (int d = dims - 1; d >= 0; d--) {
      shape[d] = in.i64(name);
      if (shape[d] < 1) {
        throw in.bad("tensor '%s' has a dimension of %d", name, shape[d]);
      }
    }
    return new Entry(name, shape, in.i32(name), in.i64(name));
  }

  /** Checks that the tensors lie inside the file, on the alignment, and apart from each other. */
  private static Map<String, Entry> place(
      GgufReader in, List<Entry> entries, long alignment, long dataStart) throws IOException {
    entries.sort(Comparator.comparingLong(Entry::offset));
    Map<String, Entry> placed = new LinkedHashMap<>();
    long free = dataStart;
    for (Entry e : entries) {
      if (e.offset < 0 || e.offset > in.size() || e.offset % alignment != 0) {
        throw in.bad(
            "tensor '%s' starts at %d, wanted a multiple of %d in a file of %d bytes",
            e.name, e.offset, alignment, in.size());
      }
      long start = dataStart + e.offset;
      long length = lengthOf(in, e);
      if (start < free) {
        throw in.bad("tensor '%s' starts at byte %d, inside another", e.name, start);
      }
      if (length > in.size() - start) {
        throw in.bad(
            "tensor '%s' takes bytes %d to %d, the file has %d; is the download complete?",
            e.name, start, start + length, in.size());
      }
      free = start + length;
      if (placed.put(e.name, new Entry(e.name, e.shape, e.typeId, start)) != null) {
        throw in.bad("tensor '%s' is there twice", e.name);
      }
    }
    return Collections.unmodifiableMap(placed);
  }

  /** Bytes of a tensor; 0 for a type whose size we do not know. */
  private static long lengthOf(GgufReader in, Entry e) throws IOException {
    try {
      long elements = 1;
      for (long d : e.shape) {
        elements = Math.multiplyExact(elements, d);
      }
      TensorType type = GgufTypes.byId(e.typeId);
      if (type == null) {
        return 0;
      }
      long row = e.shape[e.shape.length - 1];
      return Math.multiplyExact(type.bytes(row), elements / row);
    } catch (ArithmeticException | IllegalArgumentException x) {
      throw in.bad("tensor '%s' has an impossible shape: %s", e.name, x.getMessage());
    }
  }

  /**
   * The metadata by key, in file order: Boolean, Integer (or Long where 32 bits do not hold it; the
   * 64-bit types always Long), Float, Double, String, or an unmodifiable List of one of these.
   */
  public Map<String, Object> metadata() {
    return metadata;
  }

  @Override
  public Set<String> names() {
    return entries.keySet();
  }

  /**
   * The tensor as stored.
   *
   * @throws IllegalArgumentException if it is not there or of a type that is not read, by type id
   */
  @Override
  public TensorData tensor(String name) {
    Entry e = entries.get(name);
    if (e == null) {
      throw new IllegalArgumentException("%s: no tensor '%s'".formatted(regions.file(), name));
    }
    TensorType type = GgufTypes.byId(e.typeId);
    if (type == null) {
      throw new IllegalArgumentException(
          "%s: tensor '%s' is of %s, wanted one of %s; convert the model to one of these"
              .formatted(regions.file(), name, GgufTypes.describe(e.typeId), GgufTypes.known()));
    }
    long elements = 1;
    for (long d : e.shape) {
      elements *= d;
    }
    return new TensorData(
        name, type, e.shape.clone(), regions.region(name, e.offset, type.bytes(elements)));
  }

  /** Closes the file; views handed out stay readable until they are collected. */
  @Override
  public void close() {
    regions.close();
  }
}
