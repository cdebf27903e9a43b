package io.chorale.train.data.parquet;

import io.airlift.compress.lz4.Lz4Decompressor;
import io.airlift.compress.snappy.SnappyDecompressor;
import io.airlift.compress.zstd.ZstdDecompressor;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.GZIPInputStream;

/** How a column's pages are compressed: none, Snappy, gzip, Zstandard or LZ4_RAW. */
final class Codec {
  private final int id;

  /**
   * @param id of parquet.thrift's CompressionCodec
   * @throws IllegalArgumentException naming one that is not read
   */
  Codec(int id) {
    this.id = id;
    if (id != 0 && id != 1 && id != 2 && id != 6 && id != 7) {
      String name =
          switch (id) {
            case 3 -> "LZO";
            case 4 -> "Brotli";
            case 5 -> "Hadoop's LZ4";
            default -> "codec " + id;
          };
      throw new IllegalArgumentException(
          "is compressed by %s, wanted Snappy, gzip, Zstandard, LZ4_RAW or none; write it again with one of those"
              .formatted(name));
    }
  }

  /**
   * @param in position to limit
   * @param bytes of the result
   * @return little-endian, position 0
   * @throws IllegalArgumentException if they do not expand to so many bytes
   */
  ByteBuffer expand(ByteBuffer in, int bytes) {
    if (id == 0) {
      return in.slice().order(ByteOrder.LITTLE_ENDIAN);
    }
    byte[] from = new byte[in.remaining()];
    in.get(from);
    byte[] out = new byte[bytes];
    int made =
        switch (id) {
          case 1 -> new SnappyDecompressor().decompress(from, 0, from.length, out, 0, bytes);
          case 2 -> gunzip(from, out);
          case 6 -> new ZstdDecompressor().decompress(from, 0, from.length, out, 0, bytes);
          default -> new Lz4Decompressor().decompress(from, 0, from.length, out, 0, bytes);
        };
    if (made != bytes) {
      throw new IllegalArgumentException("a page of %d bytes has %d".formatted(bytes, made));
    }
    return ByteBuffer.wrap(out).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static int gunzip(byte[] from, byte[] out) {
    try (GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(from))) {
      return in.readNBytes(out, 0, out.length);
    } catch (IOException e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }
}
