// The entry points of io.chorale.kernel.train.TrainCalls: whole matrices, cut into tasks for the
// threads. Addresses are of libtorch's contiguous tensors; arguments were checked on the Java side.
#include <jni.h>

#include <algorithm>
#include <new>
#include <vector>

#include "parallel.h"
#include "train.h"

using namespace chorale;

namespace {

constexpr int TASK_ELEMENTS = 1 << 14;
constexpr int NF4_GROUP = 256;  // blocks that share a scale of scales

struct Pointers {
  jlong at[10] = {};
  Pointers(JNIEnv* env, jlongArray array) {
    env->GetLongArrayRegion(array, 0, std::min<jint>(10, env->GetArrayLength(array)), at);
  }
  template <typename T>
  T* get(int i) const {
    return reinterpret_cast<T*>(at[i]);
  }
  // Element `elements` of a float32 or bfloat16 matrix.
  void* element(int i, size_t elements, bool bf16) const {
    return get<char>(i) + elements * (bf16 ? 2 : 4);
  }
};

// One thread's float32 memory, kept from call to call.
float* scratch(size_t elements) {
  thread_local Buffer<float> memory;
  return memory.need(elements);
}

// Calls body(from, to) for ranges of rows that together have some ten thousand elements.
template <typename Body>
void byRows(int rows, size_t width, const Body& body) {
  const int step = int(std::max<size_t>(1, TASK_ELEMENTS / std::max<size_t>(1, width)));
  parallel((rows + step - 1) / step, [&](int task) { body(task * step, std::min(rows, (task + 1) * step)); });
}

const TrainKernels& kernels(jlong table) { return *reinterpret_cast<const TrainKernels*>(table); }

}  // namespace

#define METHOD(TYPE, NAME) \
  extern "C" JNIEXPORT TYPE JNICALL Java_io_chorale_kernel_train_TrainCalls_##NAME

METHOD(jlong, table)(JNIEnv*, jclass, jint path) { return reinterpret_cast<jlong>(trainKernelsOf(path)); }

METHOD(void, unpackQ4)(JNIEnv* env, jclass, jlong table, jlongArray pointers, jint rows, jint cols, jboolean bf16) {
  Pointers p(env, pointers);  // codes, scales, mins, out
  const size_t blocks = size_t(cols) / BLOCK;
  byRows(rows, size_t(cols), [&](int from, int to) {
    float* own = scratch(2 * blocks + 64);
    for (int r = from; r < to; r++) {
      const uint16_t* mins = p.get<uint16_t>(2);
      kernels(table).unpackQ4[bf16](p.get<uint8_t>(0) + r * size_t(cols) / 2, p.get<uint16_t>(1) + r * blocks,
                                    mins == nullptr ? nullptr : mins + r * blocks, cols, own,
                                    p.element(3, size_t(r) * cols, bf16));
    }
  });
}

METHOD(void, unpackQ8)(JNIEnv* env, jclass, jlong table, jlongArray pointers, jint rows, jint cols, jboolean bf16) {
  Pointers p(env, pointers);  // blocks, out
  const size_t rowBytes = size_t(cols) / BLOCK * (BLOCK + 2);
  byRows(rows, size_t(cols), [&](int from, int to) {
    for (int r = from; r < to; r++) {
      kernels(table).unpackQ8[bf16](p.get<uint8_t>(0) + r * rowBytes, cols, p.element(1, size_t(r) * cols, bf16));
    }
  });
}

METHOD(void, unpackNf4)
(JNIEnv* env, jclass, jlong table, jlongArray pointers, jint blocks, jfloat offset, jboolean bf16) {
  Pointers p(env, pointers);  // codes, plain scales; or null, their codes, table and absmax; out
  const float* plain = p.get<float>(1);
  byRows(blocks, NF4_BLOCK, [&](int from, int to) {
    for (int b = from; b < to; b++) {
      // Two roundings, as bitsandbytes has them.
      float product = plain == nullptr ? p.get<float>(3)[p.get<uint8_t>(2)[b]] * p.get<float>(4)[b / NF4_GROUP] : 0;
      kernels(table).unpackNf4[bf16](p.get<uint8_t>(0) + size_t(b) * NF4_BLOCK / 2,
                                     plain == nullptr ? product + offset : plain[b],
                                     p.element(5, size_t(b) * NF4_BLOCK, bf16));
    }
  });
}

METHOD(void, rmsNorm)
(JNIEnv* env, jclass, jlong table, jlongArray pointers, jint rows, jint width, jfloat eps, jboolean bf16) {
  Pointers p(env, pointers);  // x, weight, y
  byRows(rows, size_t(width), [&](int from, int to) {
    for (int r = from; r < to; r++) {
      const size_t at = size_t(r) * width;
      kernels(table).rmsNorm[bf16](p.element(0, at, bf16), p.get<float>(1), width, eps, p.element(2, at, bf16));
    }
  });
}

METHOD(void, rmsNormBackward)
(JNIEnv* env, jclass, jlong table, jlongArray pointers, jint rows, jint width, jfloat eps, jboolean bf16) {
  Pointers p(env, pointers);  // dy, x, weight, dx
  byRows(rows, size_t(width), [&](int from, int to) {
    for (int r = from; r < to; r++) {
      const size_t at = size_t(r) * width;
      kernels(table).rmsNormBackward[bf16](p.element(0, at, bf16), p.element(1, at, bf16), p.get<float>(2), width,
                                           eps, p.element(3, at, bf16));
    }
  });
}

METHOD(void, rotate)
(JNIEnv* env, jclass, jlong table, jlongArray pointers, jint rows, jint width, jint half, jboolean bf16) {
  Pointers p(env, pointers);  // x, cos, sin, direction
  byRows(rows, size_t(width), [&](int from, int to) {
    for (int r = from; r < to; r++) {
      const size_t angle = size_t(r) * half;
      kernels(table).rotate[bf16](p.element(0, size_t(r) * width, bf16), p.element(1, angle, bf16),
                                  p.element(2, angle, bf16), width, half, float(p.at[3]));
    }
  });
}

METHOD(void, silu)(JNIEnv* env, jclass, jlong table, jlongArray pointers, jint rows, jint width, jboolean bf16) {
  Pointers p(env, pointers);  // gate, up, out
  byRows(rows, size_t(width), [&](int from, int to) {
    const size_t at = size_t(from) * width, n = size_t(to - from) * width;
    kernels(table).silu[bf16](p.element(0, at, bf16), p.element(1, at, bf16), n, p.element(2, at, bf16));
  });
}

METHOD(void, siluBackward)
(JNIEnv* env, jclass, jlong table, jlongArray pointers, jint rows, jint width, jboolean bf16) {
  Pointers p(env, pointers);  // dOut, gate, up
  byRows(rows, size_t(width), [&](int from, int to) {
    const size_t at = size_t(from) * width, n = size_t(to - from) * width;
    kernels(table).siluBackward[bf16](p.element(0, at, bf16), p.element(1, at, bf16), p.element(2, at, bf16), n);
  });
}

METHOD(jdouble, loss)
(JNIEnv* env, jclass, jlong table, jlongArray pointers, jint rows, jint vocab, jdouble gradScale, jboolean bf16) {
  Pointers p(env, pointers);  // logits, targets
  std::vector<double> losses(rows);
  byRows(rows, size_t(vocab), [&](int from, int to) {
    float* own = scratch(size_t(vocab) + 16);
    for (int r = from; r < to; r++) {
      losses[r] = kernels(table).loss[bf16](p.element(0, size_t(r) * vocab, bf16), vocab, p.get<int64_t>(1)[r],
                                            float(gradScale), own);
    }
  });
  double sum = 0;
  for (double loss : losses) sum += loss;
  return sum;
}

METHOD(void, dropout)
(JNIEnv* env, jclass, jlong table, jlongArray pointers, jlong count, jint threshold, jboolean add, jboolean bf16) {
  Pointers p(env, pointers);  // x, out, seed
  const auto& k = kernels(table);
  const auto run = add ? k.dropoutAdd[bf16] : k.dropout[bf16];
  const int tasks = int((count + TASK_ELEMENTS - 1) / TASK_ELEMENTS);
  parallel(tasks, [&](int task) {
    const size_t from = size_t(task) * TASK_ELEMENTS;
    run(p.get<void>(0), uint64_t(p.at[2]), from, std::min<size_t>(TASK_ELEMENTS, size_t(count) - from), threshold,
        p.get<void>(1));
  });
}

METHOD(void, columnDots)
(JNIEnv* env, jclass, jlong table, jlongArray pointers, jint rows, jint width, jboolean bf16) {
  Pointers p(env, pointers);  // x, y, out
  const int stripe = 64;
  parallel((width + stripe - 1) / stripe, [&](int task) {
    const int from = task * stripe;
    kernels(table).columnDots[bf16](p.element(0, from, bf16), p.element(1, from, bf16), rows, width,
                                    std::min(stripe, width - from), p.get<float>(2) + from);
  });
}

// shape: heads, kvHeads, dim, window; then the sequences' starts.
METHOD(void, attend)
(JNIEnv* env, jclass, jlong table, jlongArray pointers, jintArray shape, jboolean backward, jboolean bf16) {
  Pointers p(env, pointers);  // q, k, v, out, logSums, dOut, dq, dk, dv
  std::vector<jint> words(size_t(env->GetArrayLength(shape)));
  env->GetIntArrayRegion(shape, 0, jsize(words.size()), words.data());
  SequenceArgs args{p.get<void>(0), p.get<void>(1), p.get<void>(2), p.get<void>(3), p.get<float>(4), p.get<void>(5),
                    p.get<void>(6), p.get<void>(7), p.get<void>(8), words.data() + 4, words[0], words[1], words[2],
                    words[3]};
  const int sequences = int(words.size()) - 5;
  std::vector<int> longestFirst(sequences);
  for (int s = 0; s < sequences; s++) longestFirst[s] = s;
  const auto length = [&](int s) { return args.starts[s + 1] - args.starts[s]; };
  std::stable_sort(longestFirst.begin(), longestFirst.end(), [&](int a, int b) { return length(a) > length(b); });
  const auto& k = kernels(table);
  parallel(sequences * args.kvHeads, [&](int task) {
    const int sequence = longestFirst[task / args.kvHeads];
    float* own = scratch(k.attendScratch(length(sequence), args.dim, backward));
    const auto run = backward ? k.attendBackward[bf16] : k.attend[bf16];
    run(args, sequence, task % args.kvHeads, own);
  });
}
