package io.chorale.train.watch.file;

import io.chorale.train.watch.TrainEvent;
import io.chorale.train.watch.TrainEvent.Evaluated;
import io.chorale.train.watch.TrainEvent.Step;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * A TensorBoard event file of one process: records framed as TFRecord (length, masked CRC-32C of
 * it, bytes, masked CRC-32C of them), each an {@code Event} with scalar summaries. A resumed run
 * opens a file of its own whose first event says where it starts, so that TensorBoard drops later
 * points of the interrupted one. Each record is handed to the operating system whole; TensorBoard
 * stops before a torn one. One thread.
 *
 * <p>Source: TensorFlow's event.proto, summary.proto and lib/io/record_writer.
 */
public final class TensorBoardFile implements AutoCloseable {
  private static final int MASK_DELTA = 0xa282ead8;
  private static final double MIB = 1 << 20;

  // Field numbers of Event, SessionLog, Summary and Summary.Value.
  private static final int WALL_TIME = 1;
  private static final int STEP = 2;
  private static final int FILE_VERSION = 3;
  private static final int SUMMARY = 5;
  private static final int SESSION_LOG = 7;
  private static final int STATUS = 1;
  private static final int STATUS_START = 1;
  private static final int VALUE = 1;
  private static final int TAG = 1;
  private static final int SIMPLE_VALUE = 2;

  private final FileChannel channel;

  private TensorBoardFile(FileChannel channel) {
    this.channel = channel;
  }

  /**
   * Creates {@code events.out.tfevents.SECONDS.chorale.PID} in a folder.
   *
   * @param firstStep steps done before; above 0 later points of earlier files are void
   */
  public static TensorBoardFile create(Path folder, int firstStep, long timeMs) throws IOException {
    Files.createDirectories(folder);
    // Files are read in the order of their names.
    String name =
        "events.out.tfevents.%010d.chorale.%d"
            .formatted(timeMs / 1000, ProcessHandle.current().pid());
    TensorBoardFile file =
        new TensorBoardFile(
            FileChannel.open(
                folder.resolve(name), StandardOpenOption.CREATE, StandardOpenOption.APPEND));
    file.record(
        new ProtoMessage()
            .fixedDouble(WALL_TIME, timeMs / 1e3)
            .text(FILE_VERSION, "brain.Event:2"));
    if (firstStep > 0) {
      file.record(
          new ProtoMessage()
              .fixedDouble(WALL_TIME, timeMs / 1e3)
              .varint(STEP, firstStep + 1L)
              .message(SESSION_LOG, new ProtoMessage().varint(STATUS, STATUS_START)));
    }
    return file;
  }

  /** Writes what an event has to plot; most have nothing. */
  public void write(TrainEvent event, long timeMs) throws IOException {
    Map<String, Double> values = new LinkedHashMap<>();
    if (event instanceof Step e) {
      values.put("train/loss", e.loss());
      values.put("train/learning_rate", e.learningRate());
      values.put("train/grad_norm", e.gradNorm());
      values.put("train/epoch", e.epoch());
      values.put("train/tokens_per_second", e.stepMs() > 0 ? e.tokens() / e.stepMs() * 1e3 : 0);
      values.put("memory/resident_mib", e.residentBytes() / MIB);
      scalars(e.step(), values, timeMs);
    } else if (event instanceof TrainEvent.Retained e) {
      scalars(e.step(), Map.of("train/divergence_from_base", e.divergence()), timeMs);
    } else if (event instanceof Evaluated e) {
      values.put("eval/loss", e.loss());
      scalars(e.step(), values, timeMs);
    } else if (event instanceof TrainEvent.Finished) {
      channel.force(false);
    }
  }

  private void scalars(int step, Map<String, Double> values, long timeMs) throws IOException {
    ProtoMessage summary = new ProtoMessage();
    values.forEach(
        (tag, value) ->
            summary.message(
                VALUE,
                new ProtoMessage().text(TAG, tag).fixedFloat(SIMPLE_VALUE, value.floatValue())));
    record(
        new ProtoMessage()
            .fixedDouble(WALL_TIME, timeMs / 1e3)
            .varint(STEP, step)
            .message(SUMMARY, summary));
  }

  private void record(ProtoMessage event) throws IOException {
    byte[] data = event.toBytes();
    ByteBuffer framed = ByteBuffer.allocate(data.length + 16).order(ByteOrder.LITTLE_ENDIAN);
    framed.putLong(data.length);
    framed.putInt(maskedCrc(framed.array(), 0, 8));
    framed.put(data);
    framed.putInt(maskedCrc(data, 0, data.length));
    framed.flip();
    while (framed.hasRemaining()) {
      channel.write(framed);
    }
  }

  /** CRC-32C, rotated and moved, since a CRC of data with CRCs inside says little. */
  static int maskedCrc(byte[] bytes, int from, int length) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, from, length);
    return Integer.rotateRight((int) crc.getValue(), 15) + MASK_DELTA;
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
