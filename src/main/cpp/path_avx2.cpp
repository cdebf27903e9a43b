// Everything from the standard library comes before the pragma: its inline functions are shared with
// code that must run on machines without these instructions.
#include "train.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")

#include "simd_avx2.h"

namespace chorale {
namespace avx2 {
#include "kernels_linear.inl"
#include "kernels_rows.inl"
#include "kernels_train.inl"
#include "kernels_sequences.inl"
}  // namespace avx2
}  // namespace chorale

#pragma GCC pop_options

namespace chorale {
const Kernels avx2Kernels = avx2::TABLE;
const TrainKernels avx2TrainKernels = avx2::TRAIN_TABLE;
}
#endif
