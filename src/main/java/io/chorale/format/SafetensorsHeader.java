package io.chorale.format;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import io.chorale.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The checked header of one safetensors file: 8 bytes length, JSON, data. Checked as the format's
 * own reader does: header of at most 100 MB, tensors fill the data exactly, in some order, without
 * gap or overlap, and each takes what its shape and dtype say.
 *
 * @param entries by tensor name, in file order; offsets count from the start of the file
 */
record SafetensorsHeader(Map<String, Entry> entries) {
  private static final long MAX_HEADER_BYTES = 100_000_000;
  private static final int MAX_DIMS = 16;
  private static final JsonFactory JSON =
      JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

  /** Sizes of dtypes that are only recognised, to check the file; asking for one is refused. */
  private static final Map<String, Integer> OTHER_DTYPES =
      Map.of("F64", 8, "U16", 2, "U32", 4, "U64", 8, "F8_E4M3", 1, "F8_E5M2", 1, "C64", 8);

  /**
   * @param type null if the dtype is not read
   */
  record Entry(String dtype, TensorType type, long[] shape, long start, long end) {}

  static SafetensorsHeader read(MappedRegions regions) throws IOException {
    Path file = regions.file();
    if (regions.size() < 8) {
      throw new IOException(
          "%s: has %d bytes, wanted a safetensors file".formatted(file, regions.size()));
    }
    long length = regions.region("the header length", 0, 8).getLong(0);
    if (length < 2 || length > MAX_HEADER_BYTES) {
      throw new IOException(
          "%s: header of %d bytes, wanted 2 to %d; is this a safetensors file?"
              .formatted(file, length, MAX_HEADER_BYTES));
    }
    if (length > regions.size() - 8) {
      throw new IOException(
          "%s: header of %d bytes, the file has %d; is the download complete?"
              .formatted(file, length, regions.size()));
    }
    ByteBuffer header = regions.region("the header", 8, length);
    byte[] json = new byte[(int) length];
    header.get(0, json);
    Map<String, Entry> entries = new LinkedHashMap<>();
    try (JsonParser parser = JSON.createParser(json)) {
      expect(parser.nextToken(), JsonToken.START_OBJECT, parser);
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        expect(parser.currentToken(), JsonToken.FIELD_NAME, parser);
        String name = parser.currentName();
        parser.nextToken();
        if (name.equals("__metadata__")) {
          expect(parser.currentToken(), JsonToken.START_OBJECT, parser);
          parser.skipChildren();
        } else {
          entries.put(name, entry(parser, 8 + length));
        }
      }
    } catch (JsonProcessingException | IllegalArgumentException | ArithmeticException e) {
      throw new IOException("%s: header: %s".formatted(file, e.getMessage()), e);
    }
    checkPlaces(regions, entries, 8 + length);
    return new SafetensorsHeader(entries);
  }

  private static Entry entry(JsonParser parser, long dataStart) throws IOException {
    String dtype = null;
    long[] shape = null;
    long[] offsets = null;
    String name = parser.currentName();
    expect(parser.currentToken(), JsonToken.START_OBJECT, parser);
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String field = parser.currentName();
      JsonToken value = parser.nextToken();
      switch (field) {
        case "dtype" -> {
          expect(value, JsonToken.VALUE_STRING, parser);
          dtype = parser.getText();
        }
        case "shape" -> shape = longs(parser, name + " shape");
        case "data_offsets" -> offsets = longs(parser, name + " data_offsets");
        default ->
            throw new IllegalArgumentException(
                "tensor '%s' has a field '%s'".formatted(name, field));
      }
    }
    if (dtype == null || shape == null || offsets == null || offsets.length != 2) {
      throw new IllegalArgumentException(
          "tensor '%s' wants dtype, shape and two data_offsets".formatted(name));
    }
    TensorType type = typeOf(dtype);
    checkSize(name, dtype, type, shape, offsets);
    return new Entry(
        dtype,
        type,
        shape,
        Math.addExact(offsets[0], dataStart),
        Math.addExact(offsets[1], dataStart));
  }

  private static void checkSize(
      String name, String dtype, TensorType type, long[] shape, long[] offsets) {
    Integer elementBytes = type != null ? (Integer) type.blockBytes() : OTHER_DTYPES.get(dtype);
    if (elementBytes == null) {
      return;
    }
    long bytes = elementBytes;
    for (long d : shape) {
      bytes = Math.multiplyExact(bytes, d);
    }
    if (bytes != offsets[1] - offsets[0]) {
      throw new IllegalArgumentException(
          "tensor '%s' %s takes %d bytes, its data_offsets have %d"
              .formatted(name, dtype, bytes, offsets[1] - offsets[0]));
    }
  }

  private static TensorType typeOf(String dtype) {
    return switch (dtype) {
      case "F32", "F16", "BF16", "U8", "I8", "I16", "I32", "I64", "BOOL" ->
          TensorType.valueOf(dtype);
      default -> null;
    };
  }

  private static long[] longs(JsonParser parser, String what) throws IOException {
    expect(parser.currentToken(), JsonToken.START_ARRAY, parser);
    List<Long> values = new ArrayList<>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      expect(parser.currentToken(), JsonToken.VALUE_NUMBER_INT, parser);
      long value = parser.getLongValue();
      if (value < 0 || values.size() == MAX_DIMS) {
        throw new IllegalArgumentException(what + " has a negative value or too many");
      }
      values.add(value);
    }
    return values.stream().mapToLong(Long::longValue).toArray();
  }

  private static void checkPlaces(MappedRegions regions, Map<String, Entry> entries, long dataStart)
      throws IOException {
    List<Map.Entry<String, Entry>> sorted = new ArrayList<>(entries.entrySet());
    sorted.sort(
        Comparator.comparingLong((Map.Entry<String, Entry> e) -> e.getValue().start())
            .thenComparingLong(e -> e.getValue().end()));
    long free = dataStart;
    for (Map.Entry<String, Entry> e : sorted) {
      if (e.getValue().start() != free || e.getValue().end() < free) {
        throw new IOException(
            "%s: tensor '%s' takes bytes %d to %d, wanted it to start at %d: an overlap or a gap"
                .formatted(
                    regions.file(), e.getKey(), e.getValue().start(), e.getValue().end(), free));
      }
      free = e.getValue().end();
    }
    if (free != regions.size()) {
      throw new IOException(
          "%s: has %d bytes, its header wants %d; is the download complete?"
              .formatted(regions.file(), regions.size(), free));
    }
  }

  private static void expect(JsonToken had, JsonToken wanted, JsonParser parser) {
    if (had != wanted) {
      throw new IllegalArgumentException(
          "had %s, wanted %s at byte %d"
              .formatted(had, wanted, parser.currentLocation().getByteOffset()));
    }
  }
}
