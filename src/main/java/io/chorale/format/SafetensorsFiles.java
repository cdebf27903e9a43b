package io.chorale.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Tensors of one safetensors file, or of a folder with {@code model.safetensors} or with the shards
 * that {@code model.safetensors.index.json} lists. All headers are read and checked on opening;
 * tensors are views, mapped one by one. Any thread after opening.
 *
 * <p>Source: the safetensors format description, huggingface/safetensors README.
 */
public final class SafetensorsFiles implements TensorSource {
  private static final String SINGLE = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";
  private static final long MAX_INDEX_BYTES = 100_000_000;

  private record Place(MappedRegions regions, SafetensorsHeader.Entry entry) {}

  private final Path path;
  private final List<MappedRegions> files = new ArrayList<>();
  private final Map<String, Place> places = new LinkedHashMap<>();

  private SafetensorsFiles(Path path) {
    this.path = path;
  }

  /**
   * Opens and checks a file, or the files of a folder.
   *
   * @throws IOException naming the file and what is wrong
   */
  public static SafetensorsFiles open(Path fileOrFolder) throws IOException {
    SafetensorsFiles opened = new SafetensorsFiles(fileOrFolder);
    try {
      if (!Files.isDirectory(fileOrFolder)) {
        opened.add(fileOrFolder);
      } else if (Files.exists(fileOrFolder.resolve(SINGLE))) {
        opened.add(fileOrFolder.resolve(SINGLE));
      } else if (Files.exists(fileOrFolder.resolve(INDEX))) {
        opened.addShards(fileOrFolder.resolve(INDEX));
      } else {
        throw new IOException(
            "%s: has neither %s nor %s; PyTorch's .bin files are not read, save it as safetensors"
                .formatted(fileOrFolder, SINGLE, INDEX));
      }
      return opened;
    } catch (IOException | RuntimeException e) {
      opened.close();
      throw e;
    }
  }

  private void add(Path file) throws IOException {
    MappedRegions regions = new MappedRegions(file);
    files.add(regions);
    for (var e : SafetensorsHeader.read(regions).entries().entrySet()) {
      Place before = places.put(e.getKey(), new Place(regions, e.getValue()));
      if (before != null) {
        throw new IOException(
            "%s: tensor '%s' is also in %s".formatted(file, e.getKey(), before.regions.file()));
      }
    }
  }

  private void addShards(Path index) throws IOException {
    if (Files.size(index) > MAX_INDEX_BYTES) {
      throw new IOException(
          "%s: has %d bytes, wanted at most %d"
              .formatted(index, Files.size(index), MAX_INDEX_BYTES));
    }
    JsonNode map;
    try {
      map = new ObjectMapper().readTree(Files.readAllBytes(index)).path("weight_map");
    } catch (IOException e) {
      throw new IOException(index + ": " + e.getMessage(), e);
    }
    if (!map.isObject() || map.isEmpty()) {
      throw new IOException(index + ": has no weight_map, wanted tensor names and their files");
    }
    Map<String, Path> shards = new LinkedHashMap<>();
    for (JsonNode value : map) {
      shards.put(value.asText(), shard(index, value.asText()));
    }
    for (Path shard : shards.values()) {
      if (!Files.isRegularFile(shard)) {
        throw new IOException(
            "%s: lists %s, which is missing".formatted(index, shard.getFileName()));
      }
      add(shard);
    }
    for (Iterator<String> names = map.fieldNames(); names.hasNext(); ) {
      String name = names.next();
      if (!places.containsKey(name)) {
        throw new IOException("%s: no shard holds tensor '%s'".formatted(index, name));
      }
    }
  }

  private static Path shard(Path index, String name) throws IOException {
    if (name.isEmpty() || name.contains("/") || name.contains("\\") || name.startsWith(".")) {
      throw new IOException(
          "%s: lists '%s', wanted the plain name of a file beside it".formatted(index, name));
    }
    return index.resolveSibling(name);
  }

  @Override
  public Set<String> names() {
    return Collections.unmodifiableSet(places.keySet());
  }

  /**
   * The tensor as stored.
   *
   * @throws IllegalArgumentException if it is not there or of a dtype that is not read
   */
  @Override
  public TensorData tensor(String name) {
    Place place = places.get(name);
    if (place == null) {
      throw new IllegalArgumentException("%s: no tensor '%s'".formatted(path, name));
    }
    SafetensorsHeader.Entry e = place.entry;
    if (e.type() == null) {
      throw new IllegalArgumentException(
          "%s: tensor '%s' has dtype %s, wanted F32, F16, BF16 or an integer type of up to 64 bits"
              .formatted(place.regions.file(), name, e.dtype()));
    }
    return new TensorData(
        name,
        e.type(),
        e.shape().clone(),
        place.regions.region(name, e.start(), e.end() - e.start()));
  }

  /** Closes the files; views handed out stay readable until they are collected. */
  @Override
  public void close() {
    files.forEach(MappedRegions::close);
  }
}
