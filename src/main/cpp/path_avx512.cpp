// Everything from the standard library comes before the pragma: its inline functions are shared with
// code that must run on machines without these instructions.
#include "train.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")

#include "simd_avx512.h"

namespace chorale {
namespace avx512 {
#include "kernels_linear.inl"
#include "kernels_rows.inl"
#include "kernels_train.inl"
#include "kernels_sequences.inl"
}  // namespace avx512
}  // namespace chorale

#pragma GCC pop_options

namespace chorale {
const Kernels avx512Kernels = avx512::TABLE;
const TrainKernels avx512TrainKernels = avx512::TRAIN_TABLE;
}
#endif
