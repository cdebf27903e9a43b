package io.chorale.adapter;

import io.chorale.format.TensorData;
import io.chorale.lora.LoraModule;
import io.chorale.lora.LoraTarget;
import io.chorale.lora.LoraWeights;
import io.chorale.lora.ModuleId;
import io.chorale.quant.TensorType;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The host weights of all registered versions, in one file that has no name any more: a version's
 * weights stay what they were whatever becomes of the files they came from, and thousands of
 * adapters take disk, not memory. The file goes with the process.
 *
 * <p>A version's place begins with its modules, ranks and shapes; its tensors' bytes follow. Freed
 * places are used again, the first that is large enough. Any thread.
 */
final class WeightSpool {

  /** One version's place; freed once nobody reads it. */
  final class Stored {
    private final String label;
    private final long offset;
    private final long length;
    private int readers;
    private boolean freed;

    private Stored(String label, long offset, long length) {
      this.label = label;
      this.offset = offset;
      this.length = length;
    }

    /**
     * The weights, on the heap; nothing here keeps them.
     *
     * @throws IllegalStateException if they were freed
     * @throws UncheckedIOException if the disk fails
     */
    LoraWeights read() {
      synchronized (this) {
        if (freed) {
          throw new IllegalStateException("adapter '" + label + "': its weights were freed");
        }
        readers++;
      }
      try {
        return WeightSpool.this.read(this);
      } catch (IOException e) {
        throw new UncheckedIOException(
            "adapter '%s': cannot read its weights back: %s".formatted(label, e.getMessage()), e);
      } finally {
        synchronized (this) {
          readers--;
          release();
        }
      }
    }

    synchronized void free() {
      freed = true;
      release();
    }

    private void release() {
      if (freed && readers == 0) {
        readers = -1; // once
        giveBack(offset, length);
      }
    }
  }

  private final Path folder;
  private final TreeMap<Long, Long> gaps = new TreeMap<>(); // length by offset
  private FileChannel file;
  private long end;

  /**
   * @param folder where the file lies; opened when the first weights come
   */
  WeightSpool(Path folder) {
    this.folder = folder;
  }

  /**
   * Writes weights away.
   *
   * @throws UncheckedIOException if the disk fails or is full; then nothing is kept
   */
  Stored store(LoraWeights weights) {
    Stored place = null;
    try {
      List<ByteBuffer> parts = parts(weights);
      long length = parts.stream().mapToLong(ByteBuffer::remaining).sum();
      place = take(weights.label(), length);
      long at = place.offset;
      for (ByteBuffer part : parts) {
        for (ByteBuffer left = part.duplicate(); left.hasRemaining(); ) {
          at += file.write(left, at);
        }
      }
      return place;
    } catch (IOException e) {
      if (place != null) {
        place.free();
      }
      throw new UncheckedIOException(
          "adapter '%s': cannot keep its weights in %s: %s"
              .formatted(weights.label(), folder, e.getMessage()),
          e);
    }
  }

  private synchronized Stored take(String label, long length) throws IOException {
    if (file == null) {
      Path named = Files.createTempFile(folder, "weights", ".spool");
      file = FileChannel.open(named, StandardOpenOption.READ, StandardOpenOption.WRITE);
      Files.delete(named); // the open file stays
    }
    for (Map.Entry<Long, Long> gap : gaps.entrySet()) {
      if (gap.getValue() >= length) {
        long offset = gap.getKey();
        long rest = gap.getValue() - length;
        gaps.remove(offset);
        if (rest > 0) {
          gaps.put(offset + length, rest);
        }
        return new Stored(label, offset, length);
      }
    }
    end += length;
    return new Stored(label, end - length, length);
  }

  private synchronized void giveBack(long offset, long length) {
    long from = offset;
    long to = offset + length;
    Map.Entry<Long, Long> left = gaps.floorEntry(from);
    if (left != null && left.getKey() + left.getValue() == from) {
      from = left.getKey();
    }
    Long right = gaps.remove(to);
    to += right == null ? 0 : right;
    gaps.put(from, to - from);
    if (to == end) {
      gaps.remove(from);
      end = from;
      try {
        file.truncate(end);
      } catch (IOException e) {
        // The place is free all the same, and the disk gets it back with the process.
      }
    }
  }

  private static List<ByteBuffer> parts(LoraWeights weights) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream head = new DataOutputStream(bytes);
    List<ByteBuffer> parts = new ArrayList<>();
    head.writeLong(weights.bytes());
    head.writeInt(weights.modules().size());
    for (Map.Entry<ModuleId, LoraModule> entry : weights.modules().entrySet()) {
      LoraModule module = entry.getValue();
      head.writeInt(entry.getKey().layer());
      head.writeByte(entry.getKey().target().ordinal());
      head.writeInt(module.rank());
      head.writeFloat(module.scaling());
      for (TensorData tensor :
          new TensorData[] {
            module.a(), module.b(), module.bias(), module.magnitude(), module.replacement()
          }) {
        writeShape(head, tensor);
        if (tensor != null) {
          parts.add(tensor.bytes());
        }
      }
    }
    ByteBuffer length = ByteBuffer.allocate(Integer.BYTES).putInt(bytes.size()).flip();
    parts.add(0, length);
    parts.add(1, ByteBuffer.wrap(bytes.toByteArray()));
    return parts;
  }

  private static void writeShape(DataOutputStream head, TensorData tensor) throws IOException {
    head.writeBoolean(tensor != null);
    if (tensor != null) {
      head.writeUTF(tensor.name());
      head.writeByte(tensor.type().ordinal());
      head.writeInt(tensor.bytes().remaining());
      head.writeByte(tensor.shape().length);
      for (long size : tensor.shape()) {
        head.writeLong(size);
      }
    }
  }

  private LoraWeights read(Stored place) throws IOException {
    Cursor cursor = new Cursor(place.offset);
    byte[] bytes = cursor.next(cursor.next(Integer.BYTES).getInt()).array();
    DataInputStream head = new DataInputStream(new ByteArrayInputStream(bytes));
    long weightBytes = head.readLong();
    int count = head.readInt();
    Map<ModuleId, LoraModule> modules = new LinkedHashMap<>();
    for (int i = 0; i < count; i++) {
      ModuleId id = new ModuleId(head.readInt(), LoraTarget.values()[head.readByte()]);
      int rank = head.readInt();
      float scaling = head.readFloat();
      modules.put(
          id,
          new LoraModule(
              rank,
              scaling,
              cursor.tensor(head),
              cursor.tensor(head),
              cursor.tensor(head),
              cursor.tensor(head),
              cursor.tensor(head)));
    }
    return new LoraWeights(place.label, modules, weightBytes);
  }

  /** Reads on from a place in the file. */
  private final class Cursor {
    private long at;

    Cursor(long at) {
      this.at = at;
    }

    ByteBuffer next(int length) throws IOException {
      ByteBuffer bytes = ByteBuffer.allocate(length);
      while (bytes.hasRemaining()) {
        int count = file.read(bytes, at);
        if (count < 0) {
          throw new IOException("the spool ends at byte " + at);
        }
        at += count;
      }
      return bytes.flip();
    }

    /** Null if there is none. */
    TensorData tensor(DataInputStream head) throws IOException {
      if (!head.readBoolean()) {
        return null;
      }
      String name = head.readUTF();
      TensorType type = TensorType.values()[head.readByte()];
      int length = head.readInt();
      long[] shape = new long[head.readByte()];
      for (int d = 0; d < shape.length; d++) {
        shape[d] = head.readLong();
      }
      return new TensorData(name, type, shape, next(length).order(ByteOrder.LITTLE_ENDIAN));
    }
  }
}
