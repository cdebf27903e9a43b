#include "simd_scalar.h"

namespace chorale {
namespace scalar {
#include "kernels_linear.inl"
#include "kernels_rows.inl"
}  // namespace scalar
const Kernels scalarKernels = scalar::TABLE;
}  // namespace chorale
