// Sixteen lanes in plain C++; the compiler may use the machine's baseline vectors.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "chorale.h"

namespace chorale {
namespace scalar {

#define INLINE static inline __attribute__((always_inline))
#define LANES for (int i = 0; i < 16; i++)

constexpr int MAX_ROWS = 4;

struct F {
  float v[16];
};
struct I {
  int32_t v[16];
};
struct Bytes {
  uint8_t v[64];
};
using Dot = I;

INLINE F load(const float* p) {
  F r;
  memcpy(r.v, p, 64);
  return r;
}
INLINE void store(float* p, F a) { memcpy(p, a.v, 64); }
INLINE F set1(float x) {
  F r;
  LANES r.v[i] = x;
  return r;
}
INLINE F add(F a, F b) {
  LANES a.v[i] += b.v[i];
  return a;
}
INLINE F sub(F a, F b) {
  LANES a.v[i] -= b.v[i];
  return a;
}
INLINE F mul(F a, F b) {
  LANES a.v[i] *= b.v[i];
  return a;
}
INLINE F div(F a, F b) {
  LANES a.v[i] /= b.v[i];
  return a;
}
INLINE F fma(F a, F b, F c) {
  LANES c.v[i] += a.v[i] * b.v[i];
  return c;
}
INLINE F max(F a, F b) {
  LANES a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return a;
}
INLINE F min(F a, F b) {
  LANES a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
  return a;
}
INLINE F abs(F a) {
  LANES a.v[i] = std::fabs(a.v[i]);
  return a;
}
INLINE F round(F a) {
  LANES a.v[i] = std::rint(a.v[i]);
  return a;
}
// x where a >= limit, else 0.
INLINE F keepFrom(F a, float limit, F x) {
  LANES x.v[i] = a.v[i] >= limit ? x.v[i] : 0;
  return x;
}
// 2^n for whole n from -126 to 127.
INLINE F pow2(F n) {
  LANES {
    uint32_t word = uint32_t(int32_t(n.v[i]) + 127) << 23;
    memcpy(&n.v[i], &word, 4);
  }
  return n;
}
INLINE float sum(F a) {
  for (int w = 8; w > 0; w /= 2)
    for (int i = 0; i < w; i++) a.v[i] += a.v[i + w];
  return a.v[0];
}
INLINE float largest(F a) {
  float m = a.v[0];
  LANES m = a.v[i] > m ? a.v[i] : m;
  return m;
}
INLINE F loadHalf(const void* p) {
  uint16_t h[16];
  memcpy(h, p, 32);
  F r;
  LANES r.v[i] = halfToFloat(h[i]);
  return r;
}
INLINE F loadBf16(const void* p) {
  uint16_t h[16];
  memcpy(h, p, 32);
  F r;
  LANES {
    uint32_t word = uint32_t(h[i]) << 16;
    memcpy(&r.v[i], &word, 4);
  }
  return r;
}
INLINE F loadInt8(const uint8_t* p) {
  F r;
  LANES r.v[i] = float(int8_t(p[i]));
  return r;
}
// Whole numbers of at most 7 bits as bytes; returns their sum.
INLINE int32_t storeBytes(int8_t* p, F a) {
  int32_t sum = 0;
  LANES sum += p[i] = int8_t(a.v[i]);
  return sum;
}

INLINE I loadWords(const void* p) {
  I r;
  memcpy(r.v, p, 64);
  return r;
}
INLINE F code(I words, int nibble, F book) {
  F r;
  LANES r.v[i] = book.v[words.v[i] >> (4 * nibble) & 15];
  return r;
}

INLINE void nibbles(const uint8_t* p, Bytes& low, Bytes& high) {
  for (int i = 0; i < 64; i++) {
    low.v[i] = p[i] & 15;
    high.v[i] = p[i] >> 4;
  }
}
INLINE Bytes loadCodes(const uint8_t* p) {
  Bytes r;
  memcpy(r.v, p, 64);
  return r;
}
INLINE Bytes codebook(const int8_t* codes) {
  Bytes r = {};
  memcpy(r.v, codes, 16);
  return r;
}
// Codes as loadCodes has them.
INLINE Bytes lookUp(const Bytes& book, Bytes nibbles) {
  for (int i = 0; i < 64; i++) nibbles.v[i] = book.v[nibbles.v[i]];
  return nibbles;
}
INLINE Dot dotZero() { return Dot{}; }
INLINE void dotNibbles(Dot& acc, const Bytes& w, const int8_t* x) {
  for (int r = 0; r < 16; r++)
    for (int i = 0; i < 4; i++) acc.v[r] += int(w.v[4 * r + i]) * x[i];
}
INLINE F dotFloat(const Dot& acc) {
  F r;
  LANES r.v[i] = float(acc.v[i]);
  return r;
}
INLINE I codesZero(int32_t) { return I{}; }
INLINE void dotCodes(I& acc, const Bytes& w, const int8_t* x) {
  for (int r = 0; r < 16; r++)
    for (int i = 0; i < 4; i++) acc.v[r] += int(int8_t(w.v[4 * r + i])) * x[i];
}
INLINE F codesFloat(const I& acc) { return dotFloat(acc); }

// For the trainer.
constexpr int GEMM_ROWS = 4, GEMM_LANES = 1;

// To the nearest, ties to even; not a number stays one.
INLINE void storeBf16(void* p, F a) {
  uint16_t h[16];
  LANES {
    uint32_t bits;
    memcpy(&bits, &a.v[i], 4);
    h[i] = a.v[i] != a.v[i] ? 0x7fc0 : uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
  memcpy(p, h, 32);
}
// Sixteen bytes' halves as numbers.
INLINE void loadNibbles(const uint8_t* p, F& low, F& high) {
  LANES {
    low.v[i] = float(p[i] & 15);
    high.v[i] = float(p[i] >> 4);
  }
}
// Eight bytes' sixteen values, high halves first.
INLINE F pairCodes(const uint8_t* p, F book) {
  F r;
  LANES r.v[i] = book.v[i % 2 == 0 ? p[i / 2] >> 4 : p[i / 2] & 15];
  return r;
}
// 1 where one of sixteen 16-bit numbers is below a limit, else 0.
INLINE F below(const uint64_t* bits, int limit) {
  F r;
  LANES r.v[i] = int(bits[i / 4] >> (16 * (i % 4)) & 0xffff) < limit ? 1 : 0;
  return r;
}

#undef LANES

}  // namespace scalar
}  // namespace chorale
