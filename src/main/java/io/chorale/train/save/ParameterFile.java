package io.chorale.train.save;

import io.chorale.format.SafetensorsFiles;
import io.chorale.format.SafetensorsWriter;
import io.chorale.format.TensorData;
import io.chorale.format.TensorFileOutput;
import io.chorale.quant.HalfFloats;
import io.chorale.quant.TensorType;
import io.chorale.tensor.GradMode;
import io.chorale.tensor.Scope;
import io.chorale.train.model.Parameter;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.pytorch.Tensor;

/** Trained values as a safetensors file and back, by their keys. Stateless. */
public final class ParameterFile {
  private static final int RUN = 1 << 16;

  private ParameterFile() {}

  /**
   * Writes all values and forces them to the disk.
   *
   * @param file must not exist
   * @param half as F16, where what is too large becomes infinite; else F32
   * @throws IllegalStateException if a value is too large for F16, naming its parameter
   */
  public static void write(Path file, List<Parameter> parameters, boolean half) throws IOException {
    TensorType type = half ? TensorType.F16 : TensorType.F32;
    List<TensorFileOutput.Entry> entries =
        parameters.stream().map(p -> new TensorFileOutput.Entry(p.key(), type, p.shape())).toList();
    try (TensorFileOutput output =
        SafetensorsWriter.create(file, Map.of("format", "pt"), entries)) {
      for (Parameter parameter : parameters) {
        write(output, parameter, half);
      }
      output.finish();
    }
  }

  private static void write(TensorFileOutput output, Parameter parameter, boolean half)
      throws IOException {
    try (Scope scope = Scope.open()) {
      FloatPointer values = parameter.value().cpu().data_ptr_float();
      float[] run = new float[RUN];
      ByteBuffer bytes = ByteBuffer.allocate(4 * RUN).order(ByteOrder.LITTLE_ENDIAN);
      for (long at = 0; at < parameter.elements(); at += RUN) {
        int count = (int) Math.min(RUN, parameter.elements() - at);
        values.position(at).get(run, 0, count);
        bytes.clear();
        for (int i = 0; i < count; i++) {
          if (half) {
            bytes.putShort(half(parameter, run[i]));
          } else {
            bytes.putFloat(run[i]);
          }
        }
        output.append(bytes.flip());
      }
    }
  }

  private static short half(Parameter parameter, float value) {
    if (Math.abs(value) >= 65520) {
      throw new IllegalStateException(
          "%s holds %s, too large for f16; --save-dtype f32 keeps it"
              .formatted(parameter.key(), value));
    }
    return HalfFloats.floatToHalf(value);
  }

  /**
   * Reads values into every parameter.
   *
   * @param extra keys of the file that belong to no parameter are refused if true
   * @throws IllegalArgumentException naming the tensor that is missing, of another shape or of no
   *     use; then some parameters may have changed
   */
  public static void read(Path file, List<Parameter> parameters, boolean extra) throws IOException {
    try (SafetensorsFiles source = SafetensorsFiles.open(file)) {
      Set<String> unused = new TreeSet<>(source.names());
      unused.removeAll(parameters.stream().map(Parameter::key).collect(Collectors.toSet()));
      unused.removeIf(name -> name.endsWith(".base_layer.weight")); // frozen, PEFT adds it
      if (extra && !unused.isEmpty()) {
        throw new IllegalArgumentException(
            "%s: tensor '%s' is of no parameter that is trained; are --target-modules and"
                    .formatted(file, unused.iterator().next())
                + " --modules-to-save those of the adapter?");
      }
      for (Parameter parameter : parameters) {
        TensorData tensor = source.tensor(parameter.key());
        if (!Arrays.equals(tensor.shape(), parameter.shape())) {
          throw new IllegalArgumentException(
              "%s: tensor '%s' is %s, wanted %s"
                  .formatted(
                      file,
                      parameter.key(),
                      Arrays.toString(tensor.shape()),
                      Arrays.toString(parameter.shape())));
        }
        put(parameter, tensor.toFloats());
      }
    }
  }

  private static void put(Parameter parameter, float[] values) {
    try (Scope scope = Scope.open();
        GradMode noGrad = GradMode.off()) {
      boolean here = parameter.value().device().is_cpu();
      Tensor host = here ? parameter.value() : parameter.value().cpu();
      host.data_ptr_float().put(values, 0, values.length);
      if (!here) {
        parameter.value().copy_(host);
      }
    }
  }
}
