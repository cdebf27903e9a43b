package io.chorale.train.save;

import io.chorale.format.SafetensorsFiles;
import io.chorale.format.SafetensorsWriter;
import io.chorale.format.TensorData;
import io.chorale.format.TensorFileOutput;
import io.chorale.train.optim.Optimizer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** An optimizer's state as a safetensors file and back. Stateless. */
final class OptimizerFile {
  private OptimizerFile() {}

  static void write(Path file, Optimizer optimizer) throws IOException {
    List<TensorFileOutput.Entry> entries =
        optimizer.state().stream()
            .map(s -> new TensorFileOutput.Entry(s.name(), s.type(), s.elements()))
            .toList();
    try (TensorFileOutput output = SafetensorsWriter.create(file, Map.of(), entries)) {
      for (Optimizer.StateTensor state : optimizer.state()) {
        for (ByteBuffer page : state.pages()) {
          output.append(page.duplicate().rewind());
        }
      }
      output.finish();
    }
  }

  /**
   * @param steps that the optimizer had made
   * @throws IllegalArgumentException naming the part that is missing or of another size
   */
  static void read(Path file, Optimizer optimizer, int steps) throws IOException {
    try (SafetensorsFiles source = SafetensorsFiles.open(file)) {
      for (Optimizer.StateTensor state : optimizer.state()) {
        TensorData tensor = source.tensor(state.name());
        if (tensor.type() != state.type() || tensor.elements() != state.elements()) {
          throw new IllegalArgumentException(
              "%s: '%s' is %s of %d elements, wanted %s of %d"
                  .formatted(
                      file,
                      state.name(),
                      tensor.type(),
                      tensor.elements(),
                      state.type(),
                      state.elements()));
        }
        int at = tensor.bytes().position();
        for (ByteBuffer page : state.pages()) {
          page.put(0, tensor.bytes(), at, page.capacity());
          at += page.capacity();
        }
      }
    }
    optimizer.resumeAt(steps);
  }
}
