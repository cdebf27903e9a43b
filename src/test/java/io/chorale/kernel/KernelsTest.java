package io.chorale.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.kernel.NativeLibrary.InstructionSet;
import io.chorale.kernel.Precision.KvCache;
import io.chorale.kernel.Precision.Nf4;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class KernelsTest {

  @AfterEach
  void forget() {
    System.clearProperty("chorale.cpu");
  }

  @Test
  void autoTakesTheNativeKernelsWhereTheyLoad() {
    boolean loads = NativeLibrary.failure().isEmpty();
    // When
    Ops ops = Kernels.choose("auto", "cpu", 1);
    // Then
    assertEquals(loads ? "native-" + NativeLibrary.chosen().label() : "torch-cpu", ops.name());
  }

  @ParameterizedTest
  @EnumSource(InstructionSet.class)
  void nativeTakesTheNamedInstructionSetOrSaysWhyNot(InstructionSet set) {
    // Given
    System.setProperty("chorale.cpu", set.label());
    // When
    if (NativeLibrary.supported().contains(set)) {
      assertEquals("native-" + set.label(), Kernels.choose("native", "cpu", 2).name());
    } else {
      RuntimeException refused =
          assertThrows(RuntimeException.class, () -> Kernels.choose("native", "cpu", 2));
      // Then
      String reason = NativeLibrary.failure().orElse("this machine has");
      assertTrue(refused.getMessage().contains(reason), refused.getMessage());
    }
  }

  @Test
  void torchIsTakenWhenNamed() {
    assertEquals("torch-cpu", Kernels.choose("torch", "cpu", 1).name());
  }

  @Test
  void unknownKernelsAndNativeOnCudaAreRefusedWithWhatWasWanted() {
    for (List<String> wrong : List.of(List.of("fast", "cpu"), List.of("native", "cuda"))) {
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class, () -> Kernels.choose(wrong.get(0), wrong.get(1), 1));
      assertTrue(refused.getMessage().contains(", wanted "), refused.getMessage());
    }
  }

  @Test
  void int8KeysAndValuesAreRefusedByLibtorchWithTheWayOut() {
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> Kernels.choose("torch", "cpu", 1, new Precision(KvCache.Q8, Nf4.EXACT)));
    assertEquals(
        "kv-cache is 'q8', libtorch's kernels keep float32; wanted kv-cache f16, or kernels native"
            + " on device cpu",
        refused.getMessage());
  }

  @Test
  void fastNf4IsRefusedByLibtorchWithTheWayOut() {
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> Kernels.choose("torch", "cpu", 1, new Precision(KvCache.F16, Nf4.FAST)));
    assertEquals(
        "nf4 is 'fast', libtorch's kernels know exact only; wanted nf4 exact, or kernels native on"
            + " device cpu",
        refused.getMessage());
  }

  @Test
  void unknownInstructionSetIsRefusedWithTheKnownOnes() {
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> InstructionSet.parse("neon"));
    assertEquals("CHORALE_CPU is 'neon', wanted scalar, avx2 or avx512", refused.getMessage());
  }
}
