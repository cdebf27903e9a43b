package io.chorale.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.RealModel;
import io.chorale.RealModelFile;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.data.SftExample;
import io.chorale.train.model.AdapterSpec;
import io.chorale.train.model.Compute;
import io.chorale.train.model.ComputeType;
import io.chorale.train.model.PackedBatch;
import io.chorale.train.model.Parameter;
import io.chorale.train.model.TrainMethod;
import io.chorale.train.model.TrainableCausalLm;
import io.chorale.train.optim.AdamSettings;
import io.chorale.train.optim.AdamW;
import io.chorale.train.optim.Gradients;
import io.chorale.train.optim.LrSchedule;
import io.chorale.train.optim.Optimizer;
import io.chorale.train.optim.StateMemory;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Step by step beside PEFT and torch (benchmarks/golden/train_parity.py): same rows, same initial
 * A, float32; the real model's reference in float64. The properties {@code chorale.curve.steps}, up
 * to 50, and {@code chorale.curve.methods} choose what is run on it.
 */
class LossCurveTest {
  private static final Path GOLDEN = Path.of("src/test/resources/golden/trainer");

  private record Golden(JsonNode settings, List<SftExample> rows, JsonNode curve) {
    static Golden read(String file, String method) throws IOException {
      JsonNode root = new ObjectMapper().readTree(GOLDEN.resolve(file).toFile());
      List<SftExample> rows = new ArrayList<>();
      for (JsonNode row : root.get("rows")) {
        int[] ids = ints(row.get("ids"));
        rows.add(new SftExample(ids, ints(row.get("labels")), ids.length, -1));
      }
      return new Golden(root.get("settings"), rows, root.get("curves").get(method));
    }

    private static int[] ints(JsonNode array) {
      int[] values = new int[array.size()];
      for (int i = 0; i < values.length; i++) {
        values[i] = array.get(i).intValue();
      }
      return values;
    }

    AdapterSpec spec(TrainMethod method) {
      return new AdapterSpec(
          method,
          settings.get("rank").intValue(),
          settings.get("alpha").floatValue(),
          0f,
          List.of("all-linear"),
          Map.of(),
          Map.of(),
          List.of());
    }

    List<PackedBatch> window(int step) {
      int[] at = new int[4];
      for (int i = 0; i < 4; i++) {
        at[i] = (4 * step + i) % rows.size();
      }
      return List.of(
          Batches.pack(rows, new int[] {at[0], at[1]}),
          Batches.pack(rows, new int[] {at[2], at[3]}));
    }
  }

  /** As in the script: in [-1, 1] / sqrt(in). */
  private static void setInitialA(Parameter parameter) {
    if (parameter.kind() != Parameter.Kind.LORA_A) {
      return;
    }
    CRC32 crc = new CRC32();
    crc.update(parameter.key().getBytes(StandardCharsets.UTF_8));
    long offset = crc.getValue() % 2003;
    float root = (float) Math.sqrt(parameter.shape()[1]);
    float[] values = new float[(int) parameter.elements()];
    for (int i = 0; i < values.length; i++) {
      values[i] = ((i * 7919L + offset) % 2003 - 1001) / 1001f / root;
    }
    parameter.value().data_ptr_float().put(values, 0, values.length);
  }

  private record Bound(double loss, double norm) {}

  private static void follow(
      Golden golden, BaseModelFiles files, TrainMethod method, int steps, Bound bound) {
    Compute compute =
        new Compute(
            TorchDevice.CPU,
            ComputeType.F32,
            false,
            64,
            Runtime.getRuntime().availableProcessors());
    JsonNode settings = golden.settings();
    try (TrainableCausalLm model = TrainableCausalLm.open(files, golden.spec(method), compute, 0)) {
      model.parameters().forEach(LossCurveTest::setInitialA);
      LrSchedule schedule =
          LrSchedule.of(
              LrSchedule.Kind.COSINE,
              settings.get("lr").doubleValue(),
              settings.get("warmup").doubleValue(),
              settings.get("steps").intValue());
      StepGradients gradients = new StepGradients(model, golden.rows(), Optional.empty(), 0);
      AdamSettings adam = AdamSettings.of(settings.get("decay").doubleValue(), 1);
      try (Optimizer optimizer = new AdamW(model.parameters(), adam, StateMemory.inRam())) {
        for (int step = 0; step < steps; step++) {
          model.zeroGrads();
          StepGradients.Result had = gradients.compute(golden.window(step), step);
          double loss = golden.curve().get("loss").get(step).doubleValue();
          double norm = golden.curve().get("norm").get(step).doubleValue();
          assertEquals(loss, had.loss(), bound.loss() * loss, "loss of step " + (step + 1));
          assertEquals(norm, had.norm(), bound.norm() * norm, "norm of step " + (step + 1));
          optimizer.step(
              schedule.at(step),
              Gradients.clipFactor(had.norm(), settings.get("clip").doubleValue()));
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "lora,LORA,NONE,1e-4",
    "rslora,RSLORA,NONE,1e-4",
    "dora,DORA,NONE,1e-3",
    "nf4,LORA,NF4,1e-3"
  })
  void fiftyStepsOfATinyModelAreTheStepsOfPeft(
      String curve, TrainMethod method, Quantization quantization, double bound)
      throws IOException {
    Golden golden = Golden.read("curves-tiny.json", curve);
    try (BaseModelFiles files =
        BaseModelFiles.open(TinyRun.MODELS.resolve("llama"), quantization)) {
      follow(golden, files, method, 50, new Bound(bound, 1e-3));
    }
  }

  @Test
  @RealModel
  void stepsOfSmolLm2AreTheStepsOfPeftOnItsDequantizedWeights() throws IOException {
    int steps = Integer.getInteger("chorale.curve.steps", 50);
    for (String method : System.getProperty("chorale.curve.methods", "lora,dora").split(",")) {
      Golden golden = Golden.read("curves-real.json", method);
      double bound = method.equals("dora") ? 1e-3 : 1e-4;
      try (BaseModelFiles files = BaseModelFiles.open(RealModelFile.path(), Quantization.NONE)) {
        follow(golden, files, TrainMethod.parse(method), steps, new Bound(bound, 1e-3));
      }
    }
  }
}
