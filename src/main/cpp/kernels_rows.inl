// Norm, activation and attention over the lanes of simd_*.h. Included once per instruction set.

// Within 2 units in the last place from -87.3 to 88; 0 below.
INLINE F exponential(F given) {
  F x = min(max(given, set1(-87.3f)), set1(88.3f));
  F n = round(mul(x, set1(1.44269504f)));
  F r = fma(n, set1(-0.693359375f), x);
  r = fma(n, set1(2.12194440e-4f), r);
  F p = set1(1.9875691500e-4f);
  p = fma(p, r, set1(1.3981999507e-3f));
  p = fma(p, r, set1(8.3334519073e-3f));
  p = fma(p, r, set1(4.1665795894e-2f));
  p = fma(p, r, set1(1.6666665459e-1f));
  p = fma(p, r, set1(5.0000001201e-1f));
  p = fma(mul(r, r), p, add(r, set1(1)));
  return keepFrom(given, -87.3f, mul(p, pow2(n)));
}

static void rmsNorm(const float* x, const float* weight, int cols, float eps, float* out) {
  F squares = set1(0);
  float rest = 0;
  int i = 0;
  for (; i + 16 <= cols; i += 16) {
    F v = load(x + i);
    squares = fma(v, v, squares);
  }
  for (; i < cols; i++) rest += x[i] * x[i];
  float inverse = 1 / __builtin_sqrtf((sum(squares) + rest) / float(cols) + eps);
  F scale = set1(inverse);
  for (i = 0; i + 16 <= cols; i += 16) store(out + i, mul(mul(load(x + i), scale), load(weight + i)));
  for (; i < cols; i++) out[i] = x[i] * inverse * weight[i];
}

INLINE F silu(F g) { return div(g, add(set1(1), exponential(sub(set1(0), g)))); }

static void siluMul(float* gate, const float* up, size_t n) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) store(gate + i, mul(silu(load(gate + i)), load(up + i)));
  if (i < n) {
    float g[16] = {};
    for (size_t j = i; j < n; j++) g[j - i] = gate[j];
    store(g, silu(load(g)));
    for (size_t j = i; j < n; j++) gate[j] = g[j - i] * up[j];
  }
}

// Positions of the context that are scored together; their boundaries are absolute, so a row's
// result does not depend on how its prompt was cut.
constexpr int SPAN = 64;

INLINE size_t slotOf(const AttendArgs& a, int position) {
  return size_t(a.table[position / a.blockTokens]) * a.blockTokens + position % a.blockTokens;
}

INLINE void prefetchSpan(const AttendArgs& a, int start, int end) {
  if (a.blockTokens % 16 != 0) return;
  for (int p = start; p < end; p += 16) {
    const uint8_t* pair = a.pages->pair(a.layer, a.kvHead, slotOf(a, p));
    for (size_t i = 0; i < a.pages->pairBytes; i += 64) __builtin_prefetch(pair + i);
  }
}

// 16 positions whose slots follow each other: keys as [headDim][16], values as [16][width].
INLINE void loadPair(const KvPages& kv, const uint8_t* pair, float* keys, float* values) {
  const int dim = kv.headDim, width = kv.width;
  const uint8_t* v = pair + kv.valuesAt();
  if (!kv.q8) {
    for (int d = 0; d < dim; d++) store(keys + d * 16, loadHalf(pair + d * 32));
    for (int i = 0; i < 16 * width; i += 16) store(values + i, loadHalf(v + 2 * i));
    return;
  }
  F scale = loadHalf(pair + kv.scalesAt());
  for (int d = 0; d < dim; d++) store(keys + d * 16, mul(loadInt8(pair + d * 16), scale));
  float scales[16];
  store(scales, loadHalf(pair + kv.scalesAt() + 32));
  for (int i = 0; i < 16; i++, v += width, values += width) {
    F own = set1(scales[i]);
    for (int d = 0; d < width; d += 16) store(values + d, mul(loadInt8(v + d), own));
  }
}

// The same of one position, which becomes the i-th.
INLINE void loadPosition(const KvPages& kv, const uint8_t* pair, int at, int i, float* keys,
                         float* values) {
  const int dim = kv.headDim, width = kv.width;
  const uint8_t* v = pair + kv.valuesAt() + at * width * kv.elementBytes();
  values += i * width;
  if (!kv.q8) {
    const uint16_t* k = reinterpret_cast<const uint16_t*>(pair) + at;
    for (int d = 0; d < dim; d++) keys[d * 16 + i] = halfToFloat(k[d * 16]);
    for (int d = 0; d < width; d += 16) store(values + d, loadHalf(v + 2 * d));
    return;
  }
  const uint16_t* scales = reinterpret_cast<const uint16_t*>(pair + kv.scalesAt()) + at;
  float ofKey = halfToFloat(scales[0]);
  for (int d = 0; d < dim; d++) keys[d * 16 + i] = float(int8_t(pair[d * 16 + at])) * ofKey;
  F own = set1(halfToFloat(scales[16]));
  for (int d = 0; d < width; d += 16) store(values + d, mul(loadInt8(v + d), own));
}

// Positions start .. end-1: keys as [SPAN / 16][headDim][16], values as [SPAN][width], float32.
INLINE void loadSpan(const AttendArgs& a, int start, int end, float* keys, float* values) {
  const KvPages& kv = *a.pages;
  for (int p = start; p < end; p += 16, keys += kv.headDim * 16, values += 16 * kv.width) {
    if (a.blockTokens % 16 == 0) {
      loadPair(kv, kv.pair(a.layer, a.kvHead, slotOf(a, p)), keys, values);
      continue;
    }
    for (int i = 0; i < 16 && p + i < end; i++) {
      size_t slot = slotOf(a, p + i);
      loadPosition(kv, kv.pair(a.layer, a.kvHead, slot), int(slot % 16), i, keys, values);
    }
  }
}

struct Softmax {  // of one query head so far
  float most, total;
};

// shares[16 g + i] = q . key / sqrt(headDim) for N groups at once, so that N sums run side by side.
template <int N>
INLINE void scoreGroups(const float* q, const float* keys, int dim, F scale, float* shares) {
  F score[N];
  UNROLL for (int g = 0; g < N; g++) score[g] = set1(0);
  for (int d = 0; d < dim; d++) {
    F x = set1(q[d]);
    UNROLL for (int g = 0; g < N; g++) score[g] = fma(load(keys + (g * dim + d) * 16), x, score[g]);
  }
  UNROLL for (int g = 0; g < N; g++) store(shares + g * 16, mul(score[g], scale));
}

// mixed = keep * mixed + shares x values for N vectors of the head at once.
template <int N>
INLINE void mixValues(const float* shares, const float* values, int width, int low, int high, F keep,
                      float* mixed) {
  F acc[N];
  UNROLL for (int d = 0; d < N; d++) acc[d] = mul(load(mixed + d * 16), keep);
  const float* v = values + size_t(low) * width;
  for (int i = low; i < high; i++, v += width) {
    F share = set1(shares[i]);
    UNROLL for (int d = 0; d < N; d++) acc[d] = fma(share, load(v + d * 16), acc[d]);
  }
  UNROLL for (int d = 0; d < N; d++) store(mixed + d * 16, acc[d]);
}

// Turns a span's scores into shares, 0 outside of low .. high-1; what is mixed so far keeps the result.
INLINE F fold(float* shares, int low, int high, Softmax& state) {
  int groups = (high + 15) / 16;
  for (int i = 0; i < low; i++) shares[i] = -__builtin_inff();
  for (int i = high; i < groups * 16; i++) shares[i] = -__builtin_inff();
  F lanes = set1(state.most);
  for (int g = 0; g < groups; g++) lanes = max(lanes, load(shares + g * 16));
  float most = largest(lanes);
  F total = set1(0);
  for (int g = 0; g < groups; g++) {
    F share = exponential(sub(load(shares + g * 16), set1(most)));
    store(shares + g * 16, share);
    total = add(total, share);
  }
  float correction[16];
  store(correction, exponential(set1(state.most - most)));
  state.total = state.total * correction[0] + sum(total);
  state.most = most;
  return set1(correction[0]);
}

// Scores one query head against a span and folds it into the running sum `mixed` [width].
INLINE void attendSpan(const KvPages& kv, const float* q, const float* keys, const float* values,
                       int low, int high, Softmax& state, float* mixed) {
  float shares[SPAN];
  F scale = set1(1 / __builtin_sqrtf(float(kv.headDim)));
  int groups = (high + 15) / 16;
  if (groups > 2) {  // keys beyond `high` are in scratch: scored for nothing, then masked
    scoreGroups<4>(q, keys, kv.headDim, scale, shares);
  } else {
    for (int g = 0; g < groups; g++) {
      scoreGroups<1>(q, keys + size_t(g) * kv.headDim * 16, kv.headDim, scale, shares + g * 16);
    }
  }
  F keep = fold(shares, low, high, state);
  int d = 0;
  for (; d + 64 <= kv.width; d += 64) {
    mixValues<4>(shares, values + d, kv.width, low, high, keep, mixed + d);
  }
  for (; d < kv.width; d += 16) {
    mixValues<1>(shares, values + d, kv.width, low, high, keep, mixed + d);
  }
}

// A single row reads keys and values where they lie: H heads at once, every sum in the order of the
// functions above, so that a row's result is the same bits either way. The next span's are brought
// meanwhile, from `ahead`.
template <bool Q8>
INLINE F pageVector(const uint8_t* p, int at, F scale) {
  return Q8 ? mul(loadInt8(p + at), scale) : loadHalf(p + 2 * at);
}

template <bool Q8, int H, int G>
INLINE void scorePages(const KvPages& kv, const uint8_t* const* pairs, const uint8_t* const* ahead, const float* q, F scale,
                       float* shares) {
  F score[G][H], own[G];
  UNROLL for (int g = 0; g < G; g++) {
    own[g] = Q8 ? loadHalf(pairs[g] + kv.scalesAt()) : set1(1);
    UNROLL for (int h = 0; h < H; h++) score[g][h] = set1(0);
  }
  for (int d = 0; d < kv.headDim; d++) {
    F key[G];
    UNROLL for (int g = 0; g < G; g++) {
      key[g] = pageVector<Q8>(pairs[g], d * 16, own[g]);
      __builtin_prefetch(ahead[g] + d * (Q8 ? 16 : 32), 0, 2);
    }
    UNROLL for (int h = 0; h < H; h++) {
      F x = set1(q[h * kv.headDim + d]);
      UNROLL for (int g = 0; g < G; g++) score[g][h] = fma(key[g], x, score[g][h]);
    }
  }
  UNROLL for (int g = 0; g < G; g++) {
    UNROLL for (int h = 0; h < H; h++) store(shares + h * SPAN + g * 16, mul(score[g][h], scale));
  }
}

template <bool Q8, int H, int D>
INLINE void mixPages(const KvPages& kv, const uint8_t* const* pairs, const uint8_t* const* ahead, const float* shares,
                     int low, int high, int first, const F* keep, float* mixed) {
  F acc[H][D];
  UNROLL for (int h = 0; h < H; h++) {
    UNROLL for (int d = 0; d < D; d++) acc[h][d] = mul(load(mixed + h * kv.width + d * 16), keep[h]);
  }
  for (int i = low; i < high;) {
    const uint8_t *pair = pairs[i / 16], *later = ahead[i / 16];
    float scales[16];
    if (Q8) store(scales, loadHalf(pair + kv.scalesAt() + 32));
    int end = i / 16 * 16 + 16 < high ? i / 16 * 16 + 16 : high;
    for (; i < end; i++) {
      size_t at = kv.valuesAt() + (i % 16) * kv.width * (Q8 ? 1 : 2);
      const uint8_t* v = pair + at;
      for (int d = 0; d < D * 16 * (Q8 ? 1 : 2); d += 64) __builtin_prefetch(later + at + first * (Q8 ? 1 : 2) + d, 0, 2);
      F own = set1(Q8 ? scales[i % 16] : 1), value[D];
      UNROLL for (int d = 0; d < D; d++) value[d] = pageVector<Q8>(v, first + d * 16, own);
      UNROLL for (int h = 0; h < H; h++) {
        F share = set1(shares[h * SPAN + i]);
        UNROLL for (int d = 0; d < D; d++) acc[h][d] = fma(share, value[d], acc[h][d]);
      }
    }
  }
  UNROLL for (int h = 0; h < H; h++) {
    UNROLL for (int d = 0; d < D; d++) store(mixed + h * kv.width + d * 16, acc[h][d]);
  }
}

template <bool Q8, int H>
INLINE void attendPages(const KvPages& kv, const uint8_t* const* pairs, const uint8_t* const* ahead, const float* q,
                        int low, int high, Softmax* states, float* mixed) {
  constexpr int D = MAX_ROWS == 8 ? 4 : 2;  // as registers allow
  float shares[H * SPAN];
  F scale = set1(1 / __builtin_sqrtf(float(kv.headDim))), keep[H];
  int g = 0, groups = (high + 15) / 16;
  for (; g + 2 <= groups; g += 2) scorePages<Q8, H, 2>(kv, pairs + g, ahead + g, q, scale, shares + g * 16);
  if (g < groups) scorePages<Q8, H, 1>(kv, pairs + g, ahead + g, q, scale, shares + g * 16);
  UNROLL for (int h = 0; h < H; h++) keep[h] = fold(shares + h * SPAN, low, high, states[h]);
  int d = 0;
  for (; d + 16 * D <= kv.width; d += 16 * D) mixPages<Q8, H, D>(kv, pairs, ahead, shares, low, high, d, keep, mixed + d);
  for (; d < kv.width; d += 16) mixPages<Q8, H, 1>(kv, pairs, ahead, shares, low, high, d, keep, mixed + d);
}

template <bool Q8>
static void attendHeads(const KvPages& kv, const uint8_t* const* pairs, const uint8_t* const* ahead, const float* q,
                        int low, int high, int heads, Softmax* states, float* mixed) {
  for (int h = 0, n; h < heads; h += n, q += n * kv.headDim, states += n, mixed += n * kv.width) {
    n = heads - h < 4 ? heads - h : 4;
    if (n == 4) attendPages<Q8, 4>(kv, pairs, ahead, q, low, high, states, mixed);
    if (n == 3) attendPages<Q8, 3>(kv, pairs, ahead, q, low, high, states, mixed);
    if (n == 2) attendPages<Q8, 2>(kv, pairs, ahead, q, low, high, states, mixed);
    if (n == 1) attendPages<Q8, 1>(kv, pairs, ahead, q, low, high, states, mixed);
  }
}

static void attend(const AttendArgs& a) {
  const KvPages& kv = *a.pages;
  const int heads = kv.heads / kv.kvHeads;
  float* spanKeys = a.scratch;
  float* spanValues = spanKeys + SPAN * kv.headDim;
  float* mixed = spanValues + SPAN * kv.width;  // [n, heads, width]
  Softmax* states = reinterpret_cast<Softmax*>(mixed + size_t(a.n) * heads * kv.width);
  for (int i = 0; i < a.n * heads; i++) states[i] = {-__builtin_inff(), 0};
  for (size_t i = 0; i < size_t(a.n) * heads * kv.width; i++) mixed[i] = 0;
  int last = a.positions[a.first + a.n - 1] + 1;
  int begin = kv.window == 0 ? 0 : a.positions[a.first] - kv.window + 1;
  for (int start = begin > 0 ? begin / SPAN * SPAN : 0; start < last; start += SPAN) {
    int end = start + SPAN < last ? start + SPAN : last;
    if (a.n == 1 && a.blockTokens % 16 == 0) {
      const uint8_t *pairs[SPAN / 16], *ahead[SPAN / 16];
      for (int p = start, g = 0; p < end; p += 16, g++) {
        pairs[g] = kv.pair(a.layer, a.kvHead, slotOf(a, p));
        ahead[g] = p + SPAN < last ? kv.pair(a.layer, a.kvHead, slotOf(a, p + SPAN)) : pairs[g];
      }
      int low = kv.window > 0 && begin > start ? begin - start : 0;
      const float* q = a.q + (size_t(a.first) * kv.heads + a.kvHead * heads) * kv.headDim;
      (kv.q8 ? attendHeads<true> : attendHeads<false>)(kv, pairs, ahead, q, low, end - start, heads, states, mixed);
      continue;
    }
    loadSpan(a, start, end, spanKeys, spanValues);
    prefetchSpan(a, end, end + SPAN < last ? end + SPAN : last);
    for (int i = 0; i < a.n; i++) {
      int position = a.positions[a.first + i];
      int low = kv.window == 0 ? 0 : position - kv.window + 1 - start;
      int high = position + 1 - start < SPAN ? position + 1 - start : SPAN;
      low = low > 0 ? low : 0;
      if (low >= high) continue;
      for (int h = 0; h < heads; h++) {
        int at = i * heads + h;
        const float* q = a.q + (size_t(a.first + i) * kv.heads + a.kvHead * heads + h) * kv.headDim;
        attendSpan(kv, q, spanKeys, spanValues, low, high, states[at], mixed + at * kv.width);
      }
    }
  }
  for (int i = 0; i < a.n * heads; i++) {
    float* out = a.out + (size_t(a.first + i / heads) * kv.heads + a.kvHead * heads + i % heads) * kv.headDim;
    float inverse = 1 / states[i].total;
    for (int d = 0; d < kv.headDim; d++) out[d] = mixed[size_t(i) * kv.width + d] * inverse;
  }
}

static constexpr Kernels TABLE = {quantize,
                                  {q4Tile, q8Tile, nf4Tile, f32Tile, f16Tile, bf16Tile, nf4Int8Tile},
                                  finish,
                                  shrink,
                                  rmsNorm,
                                  siluMul,
                                  attend};
