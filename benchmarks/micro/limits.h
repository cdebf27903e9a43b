// What this machine can do at most: read from memory, and the products of one instruction set.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "chorale.h"

namespace chorale {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr int TURNS = 20000;

// Twelve independent sums, so that latency hides; `STEP` is one product of vectors in each.
#define PEAK(NAME, TARGET, VECTOR, ZERO, SEED, STEP)                                        \
  __attribute__((target(TARGET), noinline)) inline double NAME() {                         \
    VECTOR a[12], x = SEED(1), y = SEED(2);                                                \
    for (auto& sum : a) sum = ZERO();                                                      \
    double start = now();                                                                  \
    for (int t = 0; t < TURNS; t++) {                                                      \
      _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) {                              \
        STEP;                                                                              \
      }                                                                                    \
      asm volatile("" : "+x"(x), "+x"(y));                                                 \
    }                                                                                      \
    double took = now() - start;                                                           \
    for (auto& sum : a) asm volatile("" : : "x"(sum));                                     \
    return took / (12.0 * TURNS);                                                          \
  }
#define KEEP asm volatile("" : "+x"(a[i]))

PEAK(dot512, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512, _mm512_set1_epi8,
     a[i] = _mm512_dpbusd_epi32(a[i], x, y))
PEAK(fma512, "avx512f", __m512, _mm512_setzero_ps, _mm512_set1_ps, a[i] = _mm512_fmadd_ps(x, y, a[i]))
// AVX2 has no byte product with sums: pairs of bytes to int16, then their sum, as Q4 does it.
PEAK(dot256, "avx2", __m256i, _mm256_setzero_si256, _mm256_set1_epi8,
     a[i] = _mm256_add_epi16(a[i], _mm256_maddubs_epi16(x, _mm256_xor_si256(y, a[i]))))
PEAK(fma256, "avx2,fma", __m256, _mm256_setzero_ps, _mm256_set1_ps, a[i] = _mm256_fmadd_ps(x, y, a[i]))

template <typename Body>
double leastOf(int times, const Body& body) {
  double least = 1e9;
  for (int i = 0; i < times; i++) least = std::min(least, body());
  return least;
}

// Operations a second of one thread, a multiply and an add counted as two.
inline double int8Peak(int path) {
  if (path == AVX512) return 128 / leastOf(200, dot512);
  return path == AVX2 ? 64 / leastOf(200, dot256) : 0;
}
inline double floatPeak(int path) {
  if (path == AVX512) return 32 / leastOf(200, fma512);
  return path == AVX2 ? 16 / leastOf(200, fma256) : 0;
}

__attribute__((target("avx2"), noinline)) inline void sweep(const char* from, size_t bytes) {
  __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
  for (size_t i = 0; i < bytes; i += 128) {
    const __m256i* p = reinterpret_cast<const __m256i*>(from + i);
    a = _mm256_xor_si256(a, _mm256_load_si256(p));
    b = _mm256_xor_si256(b, _mm256_load_si256(p + 1));
    c = _mm256_xor_si256(c, _mm256_load_si256(p + 2));
    d = _mm256_xor_si256(d, _mm256_load_si256(p + 3));
  }
  asm volatile("" : : "x"(a), "x"(b), "x"(c), "x"(d));
}

// Bytes a second that threads read together, each from its own half of 256 MiB, in pieces of 1 MiB;
// the fastest tenth of the pieces counts, so that neighbours' interruptions do not.
inline double memoryRate(int threads) {
  constexpr size_t ALL = size_t(256) << 20, PIECE = size_t(1) << 20;
  char* memory = static_cast<char*>(allocate(ALL));
  for (size_t i = 0; i < ALL; i += 4096) memory[i] = char(i);
  std::vector<std::vector<double>> took(threads);
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; t++) {
    workers.emplace_back([&, t] {
      size_t share = ALL / threads;
      for (int turn = 0; turn < 8; turn++) {
        for (size_t i = 0; i < share; i += PIECE) {
          double start = now();
          sweep(memory + t * share + i, PIECE);
          took[t].push_back(now() - start);
        }
      }
    });
  }
  double rate = 0;
  for (int t = 0; t < threads; t++) {
    workers[t].join();
    std::sort(took[t].begin(), took[t].end());
    rate += PIECE / took[t][took[t].size() / 10];
  }
  release(memory);
  return rate;
}

}  // namespace chorale
