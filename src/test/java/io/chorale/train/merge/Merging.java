package io.chorale.train.merge;

import io.chorale.adapter.AdapterLoader;
import io.chorale.adapter.AdapterRef;
import io.chorale.kernel.LoraTable;
import io.chorale.kernel.Ops;
import io.chorale.kernel.TorchOps;
import io.chorale.lora.LoraWeights;
import io.chorale.model.BaseModelFiles;
import io.chorale.model.GoldenLogits;
import io.chorale.model.Quantization;
import io.chorale.model.TinyModel;
import io.chorale.tensor.TorchDevice;
import java.io.IOException;
import java.nio.file.Path;

/** Merges golden adapters and computes with what came out. */
final class Merging {
  static final Path MODELS = TinyModel.GOLDEN.resolve("models");
  static final Path ADAPTERS = TinyModel.GOLDEN.resolve("adapters");
  static final long SHARD = 5L << 30;

  private Merging() {}

  static Merge.Result merge(Path base, Path adapter, Path out, MergeFormat format)
      throws IOException {
    return merge(base, adapter, new Merge.Options(out, format, SHARD, false));
  }

  static Merge.Result merge(Path base, Path adapter, Merge.Options options) throws IOException {
    try (BaseModelFiles files = BaseModelFiles.open(base, Quantization.NONE)) {
      LoraWeights weights =
          new AdapterLoader(files.spec(), files.fingerprint(), AdapterLoader.DEFAULT_MAX_BYTES)
              .load(new AdapterRef("golden", 1), adapter)
              .weights();
      return Merge.run(files, base, weights, options, (done, total) -> {});
    }
  }

  /** Fails unless the model computes the reference logits. */
  static void assertLogits(Path model, Path golden, double tolerance) throws IOException {
    TorchOps ops = new TorchOps(TorchDevice.CPU, TorchOps.WeightForm.DENSE);
    try (Ops.ThreadBinding binding = ops.bindThread();
        TinyModel tiny = new TinyModel(model, Quantization.NONE, ops)) {
      for (GoldenLogits prompt : GoldenLogits.read(golden)) {
        prompt.assertClose(
            tiny.logits(prompt.ids(), LoraTable.NO_LORA, prompt.ids().length),
            tolerance,
            model.toString());
      }
    }
  }
}
