package io.chorale.train.watch.file;

import io.chorale.train.watch.TrainEvent;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * metrics.jsonl: one line an event, each handed to the operating system whole before {@link #write}
 * returns, so a killed process loses none; forced to the disk at checkpoints and at the end, so a
 * power cut loses nothing before the last checkpoint. One thread.
 */
public final class MetricsFile implements AutoCloseable {
  private final FileChannel channel;
  private final List<TrainEvent> kept;

  private MetricsFile(FileChannel channel, List<TrainEvent> kept) {
    this.channel = channel;
    this.kept = kept;
  }

  /**
   * Opens a run's file, cut where the run goes on: what came after that step, and a torn last line,
   * is gone.
   *
   * @param firstStep steps that are done and stay; 0 empties the file
   */
  public static MetricsFile open(Path file, int firstStep) throws IOException {
    Files.createDirectories(file.toAbsolutePath().getParent());
    FileChannel channel =
        FileChannel.open(
            file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    try {
      List<TrainEvent> kept = new ArrayList<>();
      long end = firstStep > 0 ? end(file, firstStep, kept) : 0;
      channel.truncate(end).position(end);
      return new MetricsFile(channel, kept);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /** Every whole event of a file. */
  public static List<TrainEvent> read(Path file) throws IOException {
    List<TrainEvent> events = new ArrayList<>();
    end(file, Integer.MAX_VALUE, events);
    return events;
  }

  /** Collects the events up to a step and says where, in bytes, they end. */
  private static long end(Path file, int lastStep, List<TrainEvent> into) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    int step = 0;
    int start = 0;
    for (int i = 0; i < bytes.length; i++) {
      if (bytes[i] != '\n') {
        continue;
      }
      String line = new String(bytes, start, i - start, StandardCharsets.UTF_8);
      Optional<TrainEvent> event = EventJson.parse(line);
      if (event.isPresent()) {
        step = EventJson.step(event.get(), step);
        if (step > lastStep) {
          return start;
        }
        into.add(event.get());
      }
      start = i + 1;
    }
    return start;
  }

  /** What happened before the run was taken up again. */
  public List<TrainEvent> kept() {
    return List.copyOf(kept);
  }

  /**
   * @throws IOException if the disk is full or gone
   */
  public void write(TrainEvent event, long timeMs) throws IOException {
    ByteBuffer line =
        ByteBuffer.wrap((EventJson.line(event, timeMs) + "\n").getBytes(StandardCharsets.UTF_8));
    while (line.hasRemaining()) {
      channel.write(line);
    }
    if (event instanceof TrainEvent.CheckpointSaved || event instanceof TrainEvent.Finished) {
      channel.force(false);
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
