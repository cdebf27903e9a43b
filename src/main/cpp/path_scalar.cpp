#include "simd_scalar.h"
#include "train.h"

namespace chorale {
namespace scalar {
#include "kernels_linear.inl"
#include "kernels_rows.inl"
#include "kernels_train.inl"
#include "kernels_sequences.inl"
}  // namespace scalar
const Kernels scalarKernels = scalar::TABLE;
const TrainKernels scalarTrainKernels = scalar::TRAIN_TABLE;
}  // namespace chorale
