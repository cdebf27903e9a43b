// Sixteen lanes as one AVX-512 vector, byte products by VNNI. Included after `#pragma GCC target`.
#pragma once

namespace chorale {
namespace avx512 {

#define INLINE static inline __attribute__((always_inline))

constexpr int MAX_ROWS = 8;

using F = __m512;
using I = __m512i;
using Bytes = __m512i;
using Dot = __m512i;

INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
INLINE void store(float* p, F x) { _mm512_storeu_ps(p, x); }
INLINE F set1(float x) { return _mm512_set1_ps(x); }
INLINE F add(F x, F y) { return _mm512_add_ps(x, y); }
INLINE F sub(F x, F y) { return _mm512_sub_ps(x, y); }
INLINE F mul(F x, F y) { return _mm512_mul_ps(x, y); }
INLINE F div(F x, F y) { return _mm512_div_ps(x, y); }
INLINE F max(F x, F y) { return _mm512_max_ps(x, y); }
INLINE F min(F x, F y) { return _mm512_min_ps(x, y); }
INLINE F fma(F x, F y, F z) { return _mm512_fmadd_ps(x, y, z); }
INLINE F abs(F x) { return _mm512_abs_ps(x); }
INLINE F round(F x) {
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
INLINE F keepFrom(F x, float limit, F y) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(limit), _CMP_GE_OQ), y);
}
INLINE F pow2(F n) {
  __m512i e = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
  return _mm512_castsi512_ps(_mm512_slli_epi32(e, 23));
}
INLINE __m256 half(F x, int which) {
  return which == 0 ? _mm512_castps512_ps256(x) : _mm512_extractf32x8_ps(x, 1);
}
INLINE float sum(F x) {
  __m256 s = _mm256_add_ps(half(x, 0), half(x, 1));
  __m128 h = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  h = _mm_add_ps(h, _mm_movehl_ps(h, h));
  return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
}
INLINE float largest(F x) {
  __m256 s = _mm256_max_ps(half(x, 0), half(x, 1));
  __m128 h = _mm_max_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  h = _mm_max_ps(h, _mm_movehl_ps(h, h));
  return _mm_cvtss_f32(_mm_max_ss(h, _mm_movehdup_ps(h)));
}
INLINE F loadHalf(const void* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
}
INLINE F loadBf16(const void* p) {
  __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
INLINE F loadInt8(const uint8_t* p) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
INLINE int32_t storeBytes(int8_t* p, F x) {
  __m512i words = _mm512_cvtps_epi32(x);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(words));
  return _mm512_reduce_add_epi32(words);
}

INLINE I loadWords(const void* p) { return _mm512_loadu_si512(p); }
INLINE F code(I words, int nibble, F book) {
  // The permutation looks at the low four bits only.
  return _mm512_permutexvar_ps(_mm512_srl_epi32(words, _mm_cvtsi32_si128(4 * nibble)), book);
}

INLINE void nibbles(const uint8_t* p, Bytes& low, Bytes& high) {
  __m512i w = loadWords(p);
  __m512i mask = _mm512_set1_epi8(15);
  low = _mm512_and_si512(w, mask);
  high = _mm512_and_si512(_mm512_srli_epi16(w, 4), mask);
}
INLINE __m512i four(const int8_t* x) {
  int32_t word;
  __builtin_memcpy(&word, x, 4);
  return _mm512_set1_epi32(word);
}
// The byte product wants unsigned codes: signed ones are moved up by 128, which codesZero takes off.
INLINE Bytes loadCodes(const uint8_t* p) {
  return _mm512_xor_si512(loadWords(p), _mm512_set1_epi8(int8_t(0x80)));
}
INLINE Bytes codebook(const int8_t* codes) {
  __m512i book = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
  return _mm512_xor_si512(book, _mm512_set1_epi8(int8_t(0x80)));
}
INLINE Bytes lookUp(Bytes book, Bytes nibbles) { return _mm512_shuffle_epi8(book, nibbles); }
INLINE Dot dotZero() { return _mm512_setzero_si512(); }
INLINE void dotNibbles(Dot& acc, const Bytes& w, const int8_t* x) {
  acc = _mm512_dpbusd_epi32(acc, w, four(x));
}
INLINE F dotFloat(const Dot& acc) { return _mm512_cvtepi32_ps(acc); }
INLINE I codesZero(int32_t inputSum) { return _mm512_set1_epi32(-128 * inputSum); }
INLINE void dotCodes(I& acc, const Bytes& w, const int8_t* x) {
  acc = _mm512_dpbusd_epi32(acc, w, four(x));
}
INLINE F codesFloat(const I& acc) { return _mm512_cvtepi32_ps(acc); }

// For the trainer.
constexpr int GEMM_ROWS = 6, GEMM_LANES = 4;

// To the nearest, ties to even; not a number stays one.
INLINE void storeBf16(void* p, F x) {
  __m512i bits = _mm512_castps_si512(x);
  __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i up = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  __m512i words = _mm512_srli_epi32(up, 16);
  words = _mm512_mask_mov_epi32(words, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), _mm512_set1_epi32(0x7fc0));
  _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_cvtepi32_epi16(words));
}
INLINE F bytesFloat(__m128i bytes) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)); }
// Sixteen bytes' halves as numbers.
INLINE void loadNibbles(const uint8_t* p, F& low, F& high) {
  __m128i w = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  low = bytesFloat(_mm_and_si128(w, _mm_set1_epi8(15)));
  high = bytesFloat(_mm_and_si128(_mm_srli_epi16(w, 4), _mm_set1_epi8(15)));
}
// Eight bytes' sixteen values, high halves first.
INLINE F pairCodes(const uint8_t* p, F book) {
  __m128i w = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  w = _mm_and_si128(_mm_or_si128(_mm_srli_epi16(w, 4), _mm_slli_epi16(w, 8)), _mm_set1_epi8(15));
  return _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(w), book);
}
// 1 where one of sixteen 16-bit numbers is below a limit, else 0.
INLINE F below(const uint64_t* bits, int limit) {
  __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bits)));
  return _mm512_maskz_mov_ps(_mm512_cmplt_epi32_mask(words, _mm512_set1_epi32(limit)), _mm512_set1_ps(1));
}

}  // namespace avx512
}  // namespace chorale
