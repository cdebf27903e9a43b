package io.chorale.train.save;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.chorale.format.PeftAdapterFiles;
import io.chorale.train.model.Parameter;
import io.chorale.train.optim.Optimizer;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The folder of one run: {@code checkpoints/step-00000040} with the adapter as a PEFT folder, the
 * optimizer's state and {@link RunState}; {@code best}, the adapter that did best on held-out data;
 * and whatever watches the run writes beside them. Held by one process at a time.
 */
public final class RunFolder implements AutoCloseable {
  private static final String STATE = "state.json";
  private static final String OPTIMIZER = "optimizer.safetensors";
  private static final int FORMAT = 1;
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

  private final Path folder;
  private final FileChannel lock;
  private final int limit;

  /** A checkpoint's {@code state.json}. */
  record Document(int format, Map<String, String> configuration, RunState state) {}

  private RunFolder(Path folder, FileChannel lock, int limit) {
    this.folder = folder;
    this.lock = lock;
    this.limit = limit;
  }

  /**
   * Opens a run's folder for this process, making it if it is not there.
   *
   * @param limit checkpoints to keep
   * @throws IOException if another process has it
   */
  public static RunFolder open(Path folder, int limit) throws IOException {
    Files.createDirectories(folder);
    FileChannel channel =
        FileChannel.open(
            folder.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    try {
      FileLock held = channel.tryLock();
      if (held != null) {
        return new RunFolder(folder, channel, limit);
      }
    } catch (OverlappingFileLockException e) {
      channel.close();
      throw new IOException(folder + " is used by another run of this process", e);
    }
    channel.close();
    throw new IOException(
        folder + " is used by another process; wait for it, or choose another --name or --run-dir");
  }

  public Path folder() {
    return folder;
  }

  /** Where the optimizer's paged state may live. */
  public Path scratch() {
    return folder.resolve("optimizer-state.bin");
  }

  /** Where the best adapter so far lies; perhaps not there. */
  public Path best() {
    return folder.resolve("best");
  }

  private Path checkpoints() {
    return folder.resolve("checkpoints");
  }

  /** Checkpoints, oldest first. */
  public List<Path> list() throws IOException {
    List<Path> found = new ArrayList<>();
    if (Files.isDirectory(checkpoints())) {
      for (Path child : AtomicFolder.children(checkpoints())) {
        if (child.getFileName().toString().matches("step-[0-9]{8}")) {
          found.add(child);
        }
      }
    }
    return found;
  }

  /** Removes what an earlier run left: checkpoints and the best adapter. */
  public void clear() throws IOException {
    for (Path checkpoint : list()) {
      AtomicFolder.remove(checkpoint);
    }
    AtomicFolder.remove(best());
  }

  /**
   * Writes a checkpoint and, when it is whole and on the disk, removes the oldest beyond the limit.
   *
   * @param adapterConfig text of {@code adapter_config.json}; empty for full fine-tuning
   * @param configuration what a resumption must have the same
   * @return the checkpoint's folder
   */
  public Path save(
      RunState state,
      List<Parameter> parameters,
      Optimizer optimizer,
      String adapterConfig,
      Map<String, String> configuration)
      throws IOException {
    Path place = checkpoints().resolve("step-%08d".formatted(state.step()));
    try (AtomicFolder output = new AtomicFolder(place)) {
      writeAdapter(output.path(), parameters, adapterConfig);
      OptimizerFile.write(output.path().resolve(OPTIMIZER), optimizer);
      JSON.writeValue(
          output.path().resolve(STATE).toFile(), new Document(FORMAT, configuration, state));
      output.publish();
    }
    List<Path> all = list();
    for (Path old : all.subList(0, Math.max(0, all.size() - limit))) {
      AtomicFolder.remove(old);
    }
    return place;
  }

  /** Keeps the values as the best so far. */
  public void saveBest(List<Parameter> parameters, String adapterConfig) throws IOException {
    try (AtomicFolder output = new AtomicFolder(best())) {
      writeAdapter(output.path(), parameters, adapterConfig);
      output.publish();
    }
  }

  /** Puts the best values back. */
  public void loadBest(List<Parameter> parameters) throws IOException {
    ParameterFile.read(best().resolve(PeftAdapterFiles.WEIGHTS), parameters, true);
  }

  private static void writeAdapter(Path folder, List<Parameter> parameters, String adapterConfig)
      throws IOException {
    if (!adapterConfig.isEmpty()) {
      Files.writeString(folder.resolve(PeftAdapterFiles.CONFIG), adapterConfig);
    }
    ParameterFile.write(folder.resolve(PeftAdapterFiles.WEIGHTS), parameters, false);
  }

  /**
   * The checkpoint to go on from.
   *
   * @param wanted a checkpoint's folder, or {@code auto} for the last of this run
   * @return empty if {@code auto} and there is none
   * @throws IOException if the folder is no checkpoint
   */
  public Optional<Path> find(String wanted) throws IOException {
    if (wanted.equals("auto")) {
      List<Path> all = list();
      return all.isEmpty() ? Optional.empty() : Optional.of(all.get(all.size() - 1));
    }
    Path place = Path.of(wanted);
    if (!Files.isRegularFile(place.resolve(STATE))) {
      throw new IOException(
          "--resume is '%s', which holds no checkpoint; wanted one of %s, or no value for the last"
              .formatted(wanted, list()));
    }
    return Optional.of(place);
  }

  /**
   * Reads a checkpoint into the parameters and the optimizer.
   *
   * @param configuration must be that of the checkpoint
   * @throws IllegalArgumentException naming every difference
   */
  public RunState load(
      Path checkpoint,
      List<Parameter> parameters,
      Optimizer optimizer,
      Map<String, String> configuration)
      throws IOException {
    Document document = JSON.readValue(checkpoint.resolve(STATE).toFile(), Document.class);
    if (document.format() != FORMAT) {
      throw new IOException(
          "%s: its format is %d, wanted %d".formatted(checkpoint, document.format(), FORMAT));
    }
    List<String> differences = RunState.differences(document.configuration(), configuration);
    if (!differences.isEmpty()) {
      throw new IllegalArgumentException(
          "cannot resume from %s: %s; put that back, or start again with --force"
              .formatted(checkpoint, String.join("; ", differences)));
    }
    ParameterFile.read(checkpoint.resolve(PeftAdapterFiles.WEIGHTS), parameters, true);
    OptimizerFile.read(checkpoint.resolve(OPTIMIZER), optimizer, document.state().step());
    return document.state();
  }

  @Override
  public void close() throws IOException {
    lock.close();
  }
}
