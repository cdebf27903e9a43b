// The only file that knows Java: one function for each native method of NativeCalls, handles are
// addresses. Arguments were checked on the Java side.
#include <jni.h>

#include <algorithm>
#include <new>

#include "step.h"

using namespace chorale;

namespace {

// A Java array's elements while no other JNI call is made.
template <typename T>
class Elements {
 public:
  Elements(JNIEnv* env, jarray array)
      : env_(env), array_(array),
        data_(array == nullptr ? nullptr : static_cast<T*>(env->GetPrimitiveArrayCritical(array, nullptr))) {}
  ~Elements() {
    if (data_ != nullptr) env_->ReleasePrimitiveArrayCritical(array_, data_, JNI_ABORT);
  }
  Elements(const Elements&) = delete;
  Elements& operator=(const Elements&) = delete;
  const T* data() const { return data_; }

 private:
  JNIEnv* env_;
  jarray array_;
  T* data_;
};

template <typename T>
T* at(jlong handle) {
  return reinterpret_cast<T*>(handle);
}

template <typename T>
jlong handle(T* pointer) {
  return reinterpret_cast<jlong>(pointer);
}

// Runs `make`; out of memory becomes Java's own error.
template <typename Make>
jlong made(JNIEnv* env, const Make& make) {
  try {
    return handle(make());
  } catch (const std::bad_alloc&) {
    env->ThrowNew(env->FindClass("java/lang/OutOfMemoryError"), "native memory for kernels");
    return 0;
  }
}

}  // namespace

#define METHOD(TYPE, NAME) extern "C" JNIEXPORT TYPE JNICALL Java_io_chorale_kernel_NativeCalls_##NAME

METHOD(jint, bestPath)(JNIEnv*, jclass) { return bestPath(); }

METHOD(jlong, open)(JNIEnv* env, jclass, jint path, jint threads) {
  const Kernels* kernels = kernelsOf(path);
  return kernels == nullptr ? 0 : made(env, [&] { return new Context(kernels, threads); });
}

METHOD(void, close)(JNIEnv*, jclass, jlong context) { delete at<Context>(context); }

METHOD(jlong, allocate)(JNIEnv* env, jclass, jlong bytes) {
  return made(env, [&] { return allocate(size_t(bytes)); });
}

METHOD(void, free)(JNIEnv*, jclass, jlong memory) { release(at<void>(memory)); }

METHOD(void, write)(JNIEnv* env, jclass, jlong memory, jfloatArray values, jint count) {
  env->GetFloatArrayRegion(values, 0, count, at<float>(memory));
}

METHOD(void, read)(JNIEnv* env, jclass, jlong memory, jfloatArray values, jint count) {
  env->SetFloatArrayRegion(values, 0, count, at<float>(memory));
}

METHOD(jlong, weight)(JNIEnv* env, jclass, jint kind, jint rows, jint cols) {
  return made(env, [&] { return new Weight(kind, rows, cols); });
}

METHOD(void, weightFree)(JNIEnv*, jclass, jlong weight) { delete at<Weight>(weight); }

METHOD(jlong, weightBytes)(JNIEnv*, jclass, jlong weight) { return jlong(at<Weight>(weight)->bytes()); }

METHOD(void, packGgml)(JNIEnv* env, jclass, jlong weight, jint type, jint from, jint count, jbyteArray bytes) {
  Elements<uint8_t> in(env, bytes);
  at<Weight>(weight)->packGgml(type, from, count, in.data());
}

METHOD(void, packNf4)
(JNIEnv* env, jclass, jlong weight, jint from, jint count, jbyteArray codes, jfloatArray absmax) {
  Elements<uint8_t> in(env, codes);
  Elements<float> scales(env, absmax);
  at<Weight>(weight)->packNf4(from, count, in.data(), scales.data());
}

METHOD(void, packFloats)(JNIEnv* env, jclass, jlong weight, jint from, jint count, jfloatArray values) {
  Elements<float> in(env, values);
  at<Weight>(weight)->packFloats(from, count, in.data());
}

METHOD(jlong, loraTable)(JNIEnv* env, jclass, jint slots, jint modules) {
  return made(env, [&] { return new LoraTable(slots, modules); });
}

METHOD(void, loraFree)(JNIEnv*, jclass, jlong table) { delete at<LoraTable>(table); }

METHOD(jlong, loraSet)(JNIEnv* env, jclass, jint modules) {
  return made(env, [&] { return new LoraSet(modules); });
}

// Copies the arrays first: the norms of DoRA take long, and a collector must not wait for them.
METHOD(void, loraAdd)
(JNIEnv* env, jclass, jlong set, jint module, jlong base, jboolean embedding, jint rank, jfloat scaling,
 jobjectArray factors) {
  made(env, [&] {
    std::vector<float> copies[4];
    const float* data[4] = {};
    for (int i = 0; i < 4; i++) {
      auto array = static_cast<jfloatArray>(env->GetObjectArrayElement(factors, i));
      if (array == nullptr) continue;
      copies[i].resize(env->GetArrayLength(array));
      env->GetFloatArrayRegion(array, 0, jsize(copies[i].size()), copies[i].data());
      env->DeleteLocalRef(array);
      data[i] = copies[i].data();
    }
    LoraSource source{rank, scaling, data[0], data[1], data[2], data[3]};
    at<LoraSet>(set)->entries[module] = loraEntry(*at<Weight>(base), embedding, source);
    return at<LoraSet>(set);
  });
}

METHOD(void, loraReplace)(JNIEnv* env, jclass, jlong set, jint module, jlong weight) {
  made(env, [&] {
    auto entry = std::make_unique<LoraEntry>();
    entry->replacement = at<Weight>(weight);
    at<LoraSet>(set)->entries[module] = std::move(entry);
    return at<LoraSet>(set);
  });
}

METHOD(jlong, loraPack)(JNIEnv* env, jclass, jlong set) {
  made(env, [&] {
    at<LoraSet>(set)->pack();
    return at<LoraSet>(set);
  });
  return jlong(at<LoraSet>(set)->bytes);
}

METHOD(void, loraSetFree)(JNIEnv*, jclass, jlong set) { delete at<LoraSet>(set); }

METHOD(void, loraSeat)(JNIEnv*, jclass, jlong table, jint slot, jlong set) {
  at<LoraTable>(table)->seated[slot] = at<LoraSet>(set);
}

METHOD(jlong, kvPages)
(JNIEnv* env, jclass, jint layers, jint kvSlots, jint heads, jint kvHeads, jint headDim, jint window,
 jboolean q8) {
  KvShape shape{layers, kvSlots, heads, kvHeads, headDim, window, bool(q8)};
  return made(env, [&] { return new KvPages(shape); });
}

METHOD(jlong, kvBytes)(JNIEnv*, jclass, jlong pages) { return jlong(at<KvPages>(pages)->bytes()); }

METHOD(void, kvFree)(JNIEnv*, jclass, jlong pages) { delete at<KvPages>(pages); }

METHOD(jlong, begin)
(JNIEnv* env, jclass, jlong context, jlong table, jintArray words, jfloatArray frequencies) {
  jint half = env->GetArrayLength(frequencies);
  Elements<jint> w(env, words);
  Elements<float> f(env, frequencies);
  // A step's few kilobytes: running out of memory here ends the process anyway.
  return handle(new Step(at<Context>(context), at<LoraTable>(table), w.data(), f.data(), half));
}

METHOD(void, end)(JNIEnv*, jclass, jlong step) { delete at<Step>(step); }

METHOD(jlong, allRows)(JNIEnv*, jclass, jlong step) { return handle(at<Step>(step)->all.get()); }

METHOD(jlong, logitRows)(JNIEnv* env, jclass, jlong step, jint from, jint count) {
  return made(env, [&] {
    auto* s = at<Step>(step);
    std::vector<int> slots(count);
    for (int i = 0; i < count; i++) slots[i] = s->slots[s->logitRows[from + i]];
    s->logitGroups.push_back(std::make_unique<RowGroups>(s, slots.data(), count));
    return s->logitGroups.back().get();
  });
}

METHOD(void, embed)(JNIEnv*, jclass, jlong step, jlong weight, jint module, jlong out) {
  embed(*at<Step>(step), *at<Weight>(weight), module, at<float>(out));
}

METHOD(void, rmsNorm)
(JNIEnv*, jclass, jlong context, jlong x, jint rows, jint cols, jlong weight, jfloat eps, jlong out) {
  rmsNorm(*at<Context>(context), at<float>(x), rows, cols, at<float>(weight), eps, at<float>(out));
}

METHOD(void, linear)
(JNIEnv*, jclass, jlong rows, jlong x, jlong weight, jlong bias, jint module, jboolean accumulate, jlong out) {
  linear(*at<RowGroups>(rows), at<float>(x), *at<Weight>(weight), at<float>(bias), module, accumulate,
         at<float>(out));
}

METHOD(void, ropeAndStoreKv)
(JNIEnv*, jclass, jlong step, jlong q, jlong k, jlong v, jlong pages, jint layer) {
  ropeAndStoreKv(*at<Step>(step), at<float>(q), at<float>(k), at<float>(v), *at<KvPages>(pages), layer);
}

METHOD(void, pagedAttention)(JNIEnv*, jclass, jlong step, jlong q, jlong pages, jint layer, jlong out) {
  pagedAttention(*at<Step>(step), at<float>(q), *at<KvPages>(pages), layer, at<float>(out));
}

METHOD(void, siluMul)(JNIEnv*, jclass, jlong context, jlong gate, jlong up, jlong count) {
  siluMul(*at<Context>(context), at<float>(gate), at<float>(up), size_t(count));
}

METHOD(void, gatherLogitRows)(JNIEnv*, jclass, jlong step, jlong x, jint cols, jlong out) {
  const auto& rows = at<Step>(step)->logitRows;
  for (size_t i = 0; i < rows.size(); i++) {
    const float* from = at<float>(x) + size_t(rows[i]) * cols;
    std::copy(from, from + cols, at<float>(out) + i * cols);
  }
}
