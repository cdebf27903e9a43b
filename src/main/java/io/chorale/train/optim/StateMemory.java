package io.chorale.train.optim;

import io.chorale.tensor.Scope;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/**
 * Where optimizer state lives: native memory, or a mapped file that the kernel can push out of RAM
 * when memory is short. The file is scratch: checkpoints hold copies, and it is gone after {@link
 * #close}. One thread makes and closes it.
 */
public final class StateMemory implements AutoCloseable {
  private final Path file; // null: native memory
  private final FileChannel channel;
  private final List<BytePointer> owned = new ArrayList<>();
  private long end;

  private StateMemory(Path file, FileChannel channel) {
    this.file = file;
    this.channel = channel;
  }

  /** In native memory, outside the Java heap. */
  public static StateMemory inRam() {
    return new StateMemory(null, null);
  }

  /**
   * In a file, which is replaced if it is there.
   *
   * @throws IOException if it cannot be made
   */
  public static StateMemory paged(Path file) throws IOException {
    Files.createDirectories(file.toAbsolutePath().getParent());
    return new StateMemory(
        file,
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE));
  }

  /** So many zero bytes. */
  StateArray allocate(long bytes) {
    List<ByteBuffer> pages = new ArrayList<>();
    for (long at = 0; at < bytes; at += StateArray.PAGE_BYTES) {
      int size = (int) Math.min(StateArray.PAGE_BYTES, bytes - at);
      ByteBuffer page = file == null ? ram(size) : mapped(size);
      pages.add(page.order(ByteOrder.LITTLE_ENDIAN));
    }
    return new StateArray(pages);
  }

  private ByteBuffer ram(int bytes) {
    try (Scope scope = Scope.open()) {
      BytePointer memory = scope.escape(new BytePointer((long) bytes));
      owned.add(memory);
      Pointer.memset(memory, 0, bytes);
      return memory.asByteBuffer();
    }
  }

  private ByteBuffer mapped(int bytes) {
    try {
      ByteBuffer page = channel.map(FileChannel.MapMode.READ_WRITE, end, bytes);
      end += bytes;
      return page;
    } catch (IOException e) {
      throw new UncheckedIOException(
          "%s: cannot map %d more bytes of optimizer state: %s"
              .formatted(file, bytes, e.getMessage()),
          e);
    }
  }

  /** Frees all of it; arrays must not be used afterwards. */
  @Override
  public void close() {
    owned.forEach(BytePointer::close);
    if (file != null) {
      try {
        channel.close();
        Files.deleteIfExists(file);
      } catch (IOException e) {
        throw new UncheckedIOException(file + ": " + e.getMessage(), e);
      }
    }
  }
}
