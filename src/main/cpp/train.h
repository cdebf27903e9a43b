// The trainer's kernels: what is between the matrix products of forward and backward, on matrices of
// float32 or bfloat16. Sums are float32; every output is written by one thread, so that results do
// not depend on how many there are.
#pragma once

#include "chorale.h"

namespace chorale {

struct Bf16 {
  uint16_t bits;
};

// Whole packed sequences, one after the other: q, out, dOut, dq [rows, heads * dim]; k, v, dk, dv
// [rows, kvHeads * dim]; logSums float32 [rows, heads], written by forward, read by backward.
struct SequenceArgs {
  const void *q, *k, *v;
  void* out;
  float* logSums;
  const void* dOut;
  void *dq, *dk, *dv;
  const int* starts;  // [sequences + 1]
  int heads, kvHeads, dim, window;
};

// Each entry once for float32, once for bfloat16.
struct TrainKernels {
  // One row of Q4_0 (mins null) or Q4_1: byte i holds value i low and value i + cols / 2 high.
  // scratch: float32 [2 * blocks of 32 + 32].
  void (*unpackQ4[2])(const uint8_t* codes, const uint16_t* scales, const uint16_t* mins, int cols,
                      float* scratch, void* out);
  // One row of Q8_0 as GGUF has it.
  void (*unpackQ8[2])(const uint8_t* blocks, int cols, void* out);
  // One block of 64, the first value of a byte in its high half.
  void (*unpackNf4[2])(const uint8_t* codes, float scale, void* out);
  void (*rmsNorm[2])(const void* x, const float* weight, int cols, float eps, void* y);
  void (*rmsNormBackward[2])(const void* dy, const void* x, const float* weight, int cols, float eps,
                             void* dx);
  // One row; cos and sin [half], direction 1 or -1.
  void (*rotate[2])(void* x, const void* cos, const void* sin, int width, int half, float direction);
  void (*silu[2])(const void* gate, const void* up, size_t n, void* out);
  void (*siluBackward[2])(const void* dOut, void* gate, void* up, size_t n);
  // One row, replaced by its gradient; scratch float32 [vocab].
  double (*loss[2])(void* logits, int vocab, int64_t target, float gradScale, float* scratch);
  // Elements from .. from+n-1 of a mask, from a multiple of 16: out = x * mask, or dx += d * mask.
  void (*dropout[2])(const void* x, uint64_t seed, size_t from, size_t n, int threshold, void* out);
  void (*dropoutAdd[2])(const void* d, uint64_t seed, size_t from, size_t n, int threshold, void* dx);
  // out[c] = sum over rows of x[row, c] * y[row, c], for count columns of rows that are stride apart.
  void (*columnDots[2])(const void* x, const void* y, int rows, size_t stride, int count, float* out);
  // One sequence over one key/value head; scratch float32 of so many elements.
  size_t (*attendScratch)(int length, int dim, bool backward);
  void (*attend[2])(const SequenceArgs&, int sequence, int kvHead, float* scratch);
  void (*attendBackward[2])(const SequenceArgs&, int sequence, int kvHead, float* scratch);
};

extern const TrainKernels scalarTrainKernels;
#if defined(__x86_64__)
extern const TrainKernels avx2TrainKernels;
extern const TrainKernels avx512TrainKernels;
#endif
const TrainKernels* trainKernelsOf(int path);  // null if the machine cannot run it

}  // namespace chorale
