// Sixteen lanes as two AVX2 vectors. Included after `#pragma GCC target`.
#pragma once

namespace chorale {
namespace avx2 {

#define INLINE static inline __attribute__((always_inline))

constexpr int MAX_ROWS = 4;

struct F {
  __m256 a, b;
};
struct I {
  __m256i a, b;
};
using Bytes = I;
using Dot = I;

#define BOTH(op, x, y) F{op(x.a, y.a), op(x.b, y.b)}

INLINE F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
INLINE void store(float* p, F x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
INLINE F set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
INLINE F add(F x, F y) { return BOTH(_mm256_add_ps, x, y); }
INLINE F sub(F x, F y) { return BOTH(_mm256_sub_ps, x, y); }
INLINE F mul(F x, F y) { return BOTH(_mm256_mul_ps, x, y); }
INLINE F div(F x, F y) { return BOTH(_mm256_div_ps, x, y); }
INLINE F max(F x, F y) { return BOTH(_mm256_max_ps, x, y); }
INLINE F min(F x, F y) { return BOTH(_mm256_min_ps, x, y); }
INLINE F fma(F x, F y, F z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
INLINE F abs(F x) {
  F sign = set1(-0.0f);
  return BOTH(_mm256_andnot_ps, sign, x);
}
INLINE F round(F x) {
  return {_mm256_round_ps(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
          _mm256_round_ps(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
INLINE F keepFrom(F x, float limit, F y) {
  __m256 l = _mm256_set1_ps(limit);
  return {_mm256_and_ps(_mm256_cmp_ps(x.a, l, _CMP_GE_OQ), y.a),
          _mm256_and_ps(_mm256_cmp_ps(x.b, l, _CMP_GE_OQ), y.b)};
}
INLINE __m256 pow2(__m256 n) {
  __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(e, 23));
}
INLINE F pow2(F n) { return {pow2(n.a), pow2(n.b)}; }
INLINE float sum(F x) {
  __m256 s = _mm256_add_ps(x.a, x.b);
  __m128 h = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  h = _mm_add_ps(h, _mm_movehl_ps(h, h));
  return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
}
INLINE float largest(F x) {
  __m256 s = _mm256_max_ps(x.a, x.b);
  __m128 h = _mm_max_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  h = _mm_max_ps(h, _mm_movehl_ps(h, h));
  return _mm_cvtss_f32(_mm_max_ss(h, _mm_movehdup_ps(h)));
}
INLINE F loadHalf(const void* p) {
  const __m128i* h = static_cast<const __m128i*>(p);
  return {_mm256_cvtph_ps(_mm_loadu_si128(h)), _mm256_cvtph_ps(_mm_loadu_si128(h + 1))};
}
INLINE __m256 bf16(__m128i h) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
INLINE F loadBf16(const void* p) {
  const __m128i* h = static_cast<const __m128i*>(p);
  return {bf16(_mm_loadu_si128(h)), bf16(_mm_loadu_si128(h + 1))};
}
INLINE __m256 eightInt8(const uint8_t* p) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
INLINE F loadInt8(const uint8_t* p) { return {eightInt8(p), eightInt8(p + 8)}; }
INLINE int32_t storeBytes(int8_t* p, F x) {
  __m256i a = _mm256_cvtps_epi32(x.a), b = _mm256_cvtps_epi32(x.b);
  __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
  __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  __m256i s = _mm256_add_epi32(a, b);
  __m128i h = _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
  h = _mm_add_epi32(h, _mm_shuffle_epi32(h, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(h, _mm_shuffle_epi32(h, 0xb1)));
}

INLINE I loadWords(const void* p) {
  const __m256i* w = static_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(w), _mm256_loadu_si256(w + 1)};
}
INLINE __m256 code(__m256i words, int nibble, F book) {
  __m256i index = _mm256_srl_epi32(words, _mm_cvtsi32_si128(4 * nibble));
  __m256 low = _mm256_permutevar8x32_ps(book.a, index);
  __m256 high = _mm256_permutevar8x32_ps(book.b, index);
  return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
}
INLINE F code(I words, int nibble, F book) {
  return {code(words.a, nibble, book), code(words.b, nibble, book)};
}

INLINE void nibbles(const uint8_t* p, Bytes& low, Bytes& high) {
  I w = loadWords(p);
  __m256i mask = _mm256_set1_epi8(15);
  low = {_mm256_and_si256(w.a, mask), _mm256_and_si256(w.b, mask)};
  high = {_mm256_and_si256(_mm256_srli_epi16(w.a, 4), mask),
          _mm256_and_si256(_mm256_srli_epi16(w.b, 4), mask)};
}
INLINE Bytes loadCodes(const uint8_t* p) { return loadWords(p); }
INLINE __m256i four(const int8_t* x) {
  int32_t word;
  __builtin_memcpy(&word, x, 4);
  return _mm256_set1_epi32(word);
}
INLINE Bytes codebook(const int8_t* codes) {
  __m128i book = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
  return {_mm256_broadcastsi128_si256(book), _mm256_broadcastsi128_si256(book)};
}
INLINE Bytes lookUp(const Bytes& book, const Bytes& nibbles) {
  return {_mm256_shuffle_epi8(book.a, nibbles.a), _mm256_shuffle_epi8(book.b, nibbles.b)};
}
// Nibble products are summed as int16: 8 groups of at most 2 * 15 * 127 = 30480 in all.
INLINE Dot dotZero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
INLINE void dotNibbles(Dot& acc, const Bytes& w, const int8_t* x) {
  __m256i v = four(x);
  acc.a = _mm256_add_epi16(acc.a, _mm256_maddubs_epi16(w.a, v));
  acc.b = _mm256_add_epi16(acc.b, _mm256_maddubs_epi16(w.b, v));
}
INLINE F codesFloat(const I& acc) { return {_mm256_cvtepi32_ps(acc.a), _mm256_cvtepi32_ps(acc.b)}; }
INLINE F dotFloat(const Dot& acc) {
  __m256i one = _mm256_set1_epi16(1);
  return codesFloat(I{_mm256_madd_epi16(acc.a, one), _mm256_madd_epi16(acc.b, one)});
}
INLINE I codesZero(int32_t) { return dotZero(); }
// |w| * (x with w's sign): at most 2 * 128 * 127 = 32512.
INLINE __m256i signedDot(__m256i w, __m256i x) {
  __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}
INLINE void dotCodes(I& acc, const Bytes& w, const int8_t* x) {
  __m256i v = four(x);
  acc.a = _mm256_add_epi32(acc.a, signedDot(w.a, v));
  acc.b = _mm256_add_epi32(acc.b, signedDot(w.b, v));
}

// For the trainer.
constexpr int GEMM_ROWS = 6, GEMM_LANES = 1;

// To the nearest, ties to even; not a number stays one.
INLINE __m128i eightBf16(__m256 x) {
  __m256i bits = _mm256_castps_si256(x);
  __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  __m256i up = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  __m256i words = _mm256_srli_epi32(up, 16);
  __m256i none = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  words = _mm256_blendv_epi8(words, _mm256_set1_epi32(0x7fc0), none);
  __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(words, words), 0xd8);
  return _mm256_castsi256_si128(packed);
}
INLINE void storeBf16(void* p, F x) {
  __m128i* to = static_cast<__m128i*>(p);
  _mm_storeu_si128(to, eightBf16(x.a));
  _mm_storeu_si128(to + 1, eightBf16(x.b));
}
INLINE F bytesFloat(__m128i bytes) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
}
// Sixteen bytes' halves as numbers.
INLINE void loadNibbles(const uint8_t* p, F& low, F& high) {
  __m128i w = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  low = bytesFloat(_mm_and_si128(w, _mm_set1_epi8(15)));
  high = bytesFloat(_mm_and_si128(_mm_srli_epi16(w, 4), _mm_set1_epi8(15)));
}
INLINE __m256 eightCodes(__m256i index, F book) {
  __m256 low = _mm256_permutevar8x32_ps(book.a, index);
  __m256 high = _mm256_permutevar8x32_ps(book.b, index);
  return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
}
// Eight bytes' sixteen values, high halves first.
INLINE F pairCodes(const uint8_t* p, F book) {
  __m128i w = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  w = _mm_and_si128(_mm_or_si128(_mm_srli_epi16(w, 4), _mm_slli_epi16(w, 8)), _mm_set1_epi8(15));
  return {eightCodes(_mm256_cvtepu8_epi32(w), book),
          eightCodes(_mm256_cvtepu8_epi32(_mm_srli_si128(w, 8)), book)};
}
INLINE __m256 eightBelow(__m128i words, int limit) {
  __m256i less = _mm256_cmpgt_epi32(_mm256_set1_epi32(limit), _mm256_cvtepu16_epi32(words));
  return _mm256_and_ps(_mm256_castsi256_ps(less), _mm256_set1_ps(1));
}
// 1 where one of sixteen 16-bit numbers is below a limit, else 0.
INLINE F below(const uint64_t* bits, int limit) {
  const __m128i* words = reinterpret_cast<const __m128i*>(bits);
  return {eightBelow(_mm_loadu_si128(words), limit), eightBelow(_mm_loadu_si128(words + 1), limit)};
}

#undef BOTH

}  // namespace avx2
}  // namespace chorale
