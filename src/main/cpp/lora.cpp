// An adapter's factors in the layout of `finish` and `shrink`.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>

#include "step.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace chorale {

LoraEntry::~LoraEntry() {
  delete replacement;
  if (packed) return;
  std::free(a);
  std::free(b);
  std::free(bias);
  std::free(rowScale);
}

LoraSet::~LoraSet() { release(memory); }

void LoraSet::pack() {
  constexpr size_t LINE = 64;
  size_t total = 0;
  for (const auto& e : entries) {
    if (e == nullptr) continue;
    bytes += e->replacement != nullptr ? e->replacement->bytes() : e->bytes;
    total += e->replacement != nullptr ? 0 : e->bytes + 4 * LINE;
  }
  auto* next = static_cast<char*>(total == 0 ? nullptr : allocate(total));
  memory = next;
  auto move = [&](auto*& from, size_t size) {
    if (from == nullptr) return;
    memcpy(next, from, size);
    std::free(from);
    from = reinterpret_cast<std::remove_reference_t<decltype(from)>>(next);
    next += roundUp(size, LINE);
  };
  for (const auto& e : entries) {
    if (e == nullptr) continue;
    move(e->a, 2 * roundUp(e->in, 16) * e->rank);
    move(e->b, 2 * roundUp(e->out, TILE) * e->rank);
    move(e->bias, 4 * roundUp(e->out, TILE));
    move(e->rowScale, 4 * roundUp(e->out, TILE));
    e->packed = true;
  }
}

namespace {

// Zeroed, aligned to a cache line and short-lived: `pack` moves it.
template <typename T>
T* scratch(size_t bytes) {
  size_t whole = roundUp(bytes + 1, 64);
  void* memory = std::aligned_alloc(64, whole);
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<T*>(memset(memory, 0, whole));
}

// The power of two that brings the largest value to 2^14 .. 2^15, so that values down to 2^-28 of it
// keep all digits of a half; 0 for zeros.
int exponentOf(const float* values, size_t count) {
  uint32_t bits = 0;  // as integers, positive floats have the same order; this loop is vectorized
  for (size_t i = 0; i < count; i++) {
    uint32_t word;
    memcpy(&word, values + i, 4);
    bits = std::max(bits, word & 0x7fffffff);
  }
  float most;
  memcpy(&most, &bits, 4);
  if (most == 0 || !std::isfinite(most)) return 0;
  return std::min(60, std::max(-60, 14 - std::ilogb(most)));
}

void halvesScalar(const float* from, size_t count, float factor, uint16_t* to) {
  for (size_t i = 0; i < count; i++) to[i] = floatToHalf(from[i] * factor);
}

#if defined(__x86_64__)
__attribute__((target("avx,f16c"))) void halvesVector(const float* from, size_t count, float factor,
                                                      uint16_t* to) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(from + i), _mm256_set1_ps(factor));
    __m128i halves = _mm256_cvtps_ph(scaled, _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), halves);
  }
  halvesScalar(from + i, count - i, factor, to + i);
}
#endif

// Nearest even, either way.
void halves(const float* from, size_t count, float factor, uint16_t* to) {
#if defined(__x86_64__)
  static const bool vector = bestPath() >= AVX2;
  if (vector) return halvesVector(from, count, factor, to);
#endif
  halvesScalar(from, count, factor, to);
}

// DoRA: magnitude over the norm of each row of W + scaling B A.
void rowScale(const Weight& base, const LoraSource& s, float* out) {
  const int in = base.cols;
  std::vector<float> row(in);
  for (int o = 0; o < base.rows; o++) {
    base.dequantizeRow(o, row.data());
    for (int r = 0; r < s.rank; r++) {
      float factor = s.scaling * s.b[size_t(o) * s.rank + r];
      const float* a = s.a + size_t(r) * in;
      for (int i = 0; i < in; i++) row[i] += factor * a[i];
    }
    double norm = 0;
    for (int i = 0; i < in; i++) norm += double(row[i]) * row[i];
    out[o] = s.magnitude[o] / float(std::sqrt(norm));
  }
}

// DoRA on the embedding: magnitude over the norm of each column of the table plus its update.
void columnScale(const Weight& table, const LoraSource& s, float* out) {
  const int vocab = table.rows, hidden = table.cols;
  std::vector<double> norm(hidden);
  std::vector<float> row(hidden);
  for (int id = 0; id < vocab; id++) {
    table.dequantizeRow(id, row.data());
    for (int h = 0; h < hidden; h++) {
      float merged = row[h];
      for (int r = 0; r < s.rank; r++) {
        merged += s.scaling * s.a[size_t(r) * vocab + id] * s.b[size_t(h) * s.rank + r];
      }
      norm[h] += double(merged) * merged;
    }
  }
  for (int h = 0; h < hidden; h++) out[h] = s.magnitude[h] / float(std::sqrt(norm[h]));
}

}  // namespace

std::unique_ptr<LoraEntry> loraEntry(const Weight& base, bool embedding, const LoraSource& s) {
  auto e = std::make_unique<LoraEntry>();
  e->rank = s.rank;
  e->in = embedding ? base.rows : base.cols;
  e->out = embedding ? base.cols : base.rows;
  size_t inPadded = roundUp(e->in, 16), outPadded = roundUp(e->out, TILE);
  int ea = exponentOf(s.a, size_t(s.rank) * e->in), eb = exponentOf(s.b, size_t(s.rank) * e->out);
  e->scale = std::ldexp(s.scaling, -ea - eb);
  float toA = std::ldexp(1.0f, ea), toB = std::ldexp(1.0f, eb);
  e->a = scratch<uint16_t>(2 * inPadded * s.rank);
  e->b = scratch<uint16_t>(2 * outPadded * s.rank);
  e->bytes = 2 * (inPadded + outPadded) * s.rank;
  for (int r = 0; r < s.rank; r++) {
    const float* from = s.a + size_t(r) * e->in;
    for (int i = 0; i < e->in; i += 16) {  // neighbours in the layout too
      halves(from + i, std::min(16, e->in - i), toA, e->a + e->aIndex(r, i));
    }
  }
  std::vector<uint16_t> row(s.rank);
  for (int o = 0; o < e->out; o++) {
    halves(s.b + size_t(o) * s.rank, s.rank, toB, row.data());
    uint16_t* to = e->b + size_t(o / TILE) * s.rank * TILE + o % TILE;
    for (int r = 0; r < s.rank; r++) to[size_t(r) * TILE] = row[r];
  }
  if (s.biasB != nullptr) {
    e->bias = scratch<float>(4 * outPadded);
    for (int o = 0; o < e->out; o++) e->bias[o] = s.scaling * s.biasB[o];
    e->bytes += 4 * outPadded;
  }
  if (s.magnitude != nullptr) {
    e->rowScale = scratch<float>(4 * outPadded);
    (embedding ? columnScale : rowScale)(base, s, e->rowScale);
    e->bytes += 4 * outPadded;
  }
  return e;
}

}  // namespace chorale
