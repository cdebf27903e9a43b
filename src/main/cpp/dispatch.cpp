// Which instruction set this machine runs.
#include "train.h"

namespace chorale {

int bestPath() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("avx512vnni");
  if (avx512) return AVX512;
  if (avx2) return AVX2;
#endif
  return SCALAR;
}

const Kernels* kernelsOf(int path) {
  if (path > bestPath()) return nullptr;
  switch (path) {
#if defined(__x86_64__)
    case AVX512:
      return &avx512Kernels;
    case AVX2:
      return &avx2Kernels;
#endif
    case SCALAR:
      return &scalarKernels;
    default:
      return nullptr;
  }
}

const TrainKernels* trainKernelsOf(int path) {
  if (path > bestPath()) return nullptr;
  switch (path) {
#if defined(__x86_64__)
    case AVX512:
      return &avx512TrainKernels;
    case AVX2:
      return &avx2TrainKernels;
#endif
    case SCALAR:
      return &scalarTrainKernels;
    default:
      return nullptr;
  }
}

}  // namespace chorale
