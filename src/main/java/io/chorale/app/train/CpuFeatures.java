package io.chorale.app.train;

import io.chorale.train.model.ComputeType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;

/** Whether this CPU multiplies bfloat16 itself. */
final class CpuFeatures {
  private CpuFeatures() {}

  /** The instruction set that bfloat16 is fast with here; empty without one. */
  static Optional<String> bfloat16() {
    Path info = Path.of("/proc/cpuinfo");
    if (!Files.exists(info)) {
      return Optional.empty();
    }
    try {
      return bfloat16(Files.readString(info));
    } catch (IOException e) {
      return Optional.empty(); // not readable: float32 is right everywhere
    }
  }

  static Optional<String> bfloat16(String cpuinfo) {
    for (String line : cpuinfo.split("\n")) {
      if (line.startsWith("flags")) {
        Set<String> flags = Set.of(line.substring(line.indexOf(':') + 1).strip().split("\\s+"));
        return flags.contains("amx_bf16")
            ? Optional.of("AMX")
            : flags.contains("avx512_bf16") ? Optional.of("AVX512-BF16") : Optional.empty();
      }
    }
    return Optional.empty();
  }

  static ComputeType usual() {
    return bfloat16().isPresent() ? ComputeType.BF16 : ComputeType.F32;
  }
}
