package io.chorale.format;

import io.chorale.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;

/**
 * A model file that is written front to back, one tensor after the other, so that no more than a
 * piece of one is ever in memory. The header with every offset is written first, from the announced
 * entries; {@link #finish} fails unless exactly those bytes followed. One thread.
 */
public final class TensorFileOutput implements AutoCloseable {
  /**
   * One announced tensor.
   *
   * @param shape row-major, outermost dimension first
   */
  public record Entry(String name, TensorType type, long... shape) {
    public long bytes() {
      long elements = 1;
      for (long d : shape) {
        elements = Math.multiplyExact(elements, d);
      }
      return type.bytes(elements);
    }

    @Override
    public String toString() {
      return "%s %s %s".formatted(name, type, Arrays.toString(shape));
    }
  }

  private final Path file;
  private final FileChannel channel;
  private final List<Entry> entries;
  private final int alignment;
  private int current;
  private long currentBytes;

  private TensorFileOutput(Path file, List<Entry> entries, int alignment) throws IOException {
    this.file = file;
    this.entries = List.copyOf(entries);
    this.alignment = alignment;
    this.channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
  }

  /**
   * Starts a file that must not exist yet.
   *
   * @param alignment every tensor starts at a multiple of it after the header, 1 for none
   */
  static TensorFileOutput start(Path file, byte[] header, List<Entry> entries, int alignment)
      throws IOException {
    TensorFileOutput output = new TensorFileOutput(file, entries, alignment);
    try {
      output.write(ByteBuffer.wrap(header));
      output.skipEmpty();
      return output;
    } catch (IOException | RuntimeException e) {
      output.close();
      throw e;
    }
  }

  /** Bytes that a tensor takes with its padding. */
  static long padded(long bytes, int alignment) {
    return (bytes + alignment - 1) / alignment * alignment;
  }

  /**
   * The next bytes of the tensor under way.
   *
   * @param bytes position to limit; consumed
   * @throws IllegalStateException if they run over the end of their tensor
   */
  public void append(ByteBuffer bytes) throws IOException {
    if (current == entries.size()) {
      throw new IllegalStateException(file + ": bytes after the last tensor");
    }
    Entry entry = entries.get(current);
    currentBytes += bytes.remaining();
    if (currentBytes > entry.bytes()) {
      throw new IllegalStateException(
          "%s: %s takes %d bytes, got %d".formatted(file, entry, entry.bytes(), currentBytes));
    }
    write(bytes);
    skipEmpty();
  }

  private void skipEmpty() throws IOException {
    while (current < entries.size() && currentBytes == entries.get(current).bytes()) {
      write(ByteBuffer.allocate((int) (padded(currentBytes, alignment) - currentBytes)));
      current++;
      currentBytes = 0;
    }
  }

  private void write(ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  /**
   * Returns when all bytes are on the disk.
   *
   * @throws IllegalStateException if a tensor is not whole
   */
  public void finish() throws IOException {
    if (current < entries.size()) {
      throw new IllegalStateException(
          "%s: %s has %d bytes, got %d"
              .formatted(file, entries.get(current), entries.get(current).bytes(), currentBytes));
    }
    channel.force(true);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
