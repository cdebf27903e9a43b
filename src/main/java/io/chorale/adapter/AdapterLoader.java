package io.chorale.adapter;

import io.chorale.lora.LoraWeights;
import io.chorale.model.ModelSpec;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** wip */
public final class AdapterLoader {
  public static final long DEFAULT_MAX_BYTES = 2L << 30;

  public record Loaded(
      LoraWeights weights,
      String method,
      int rank,
      List<String> targetModules,
      Map<String, String> fileSha256,
      String sha256) {
    Loaded relabelled(AdapterRef ref) {
      return new Loaded(
          new LoraWeights(ref.toString(), weights.modules(), weights.bytes()),
          method,
          rank,
          targetModules,
          fileSha256,
          sha256);
    }
  }

  public AdapterLoader(ModelSpec spec, String baseFingerprint, long maxAdapterBytes) {}

  static List<Path> filesOf(String adapter, Path real) {
    return List.of();
  }

  Loaded load(AdapterRef ref, Path real) {
    throw AdapterException.invalid(ref.name(), "not readable yet");
  }
}
