// Products of a weight tile with rows, over the lanes of simd_*.h. Included once per instruction set.
// Every (row, output) sees the same sequence of operations whatever the number of rows.

#define UNROLL _Pragma("GCC unroll 16")

INLINE float dotScale(const Activations& in, int row, int block) {
  return in.d[size_t(row) * in.blocks + block];
}
INLINE float dotShift(const Activations& in, int row, int block) {
  return in.ds[size_t(row) * in.blocks + block];
}

INLINE void prefetchAhead(const TileArgs& t, int block) {
  int from = block * t.aheadsPerBlock;
  int to = from + t.aheadsPerBlock < t.aheads ? from + t.aheadsPerBlock : t.aheads;
  for (int a = from; a < to; a++) {
    const char* p = t.ahead[a].from + t.tile * t.ahead[a].stride;
    for (size_t i = 0; i < t.ahead[a].bytes; i += 64) __builtin_prefetch(p + i, 0, 2);
  }
}

template <int N, bool AHEAD>
INLINE void q4Rows(const TileArgs& t, const int* rows, float* out) {
  const Activations& in = *t.in;
  const uint8_t* p = t.weight->tile(t.tile);
  const int8_t* x[N];
  F acc[N];
  UNROLL for (int m = 0; m < N; m++) {
    x[m] = in.q + size_t(rows[m]) * in.blocks * BLOCK;
    acc[m] = set1(0);
  }
  for (int b = 0; b < in.blocks; b++, p += 320) {
    Dot dot[N];
    UNROLL for (int m = 0; m < N; m++) dot[m] = dotZero();
    if (N >= 4) {  // with fewer rows the machine keeps up by itself
      UNROLL for (int i = 0; i < 5; i++) __builtin_prefetch(p + 4096 + 64 * i, 0, 2);
    }
    UNROLL for (int g = 0; g < 4; g++) {
      Bytes low, high;
      nibbles(p + 64 * g, low, high);
      UNROLL for (int m = 0; m < N; m++) {
        dotNibbles(dot[m], low, x[m] + 4 * g);
        dotNibbles(dot[m], high, x[m] + 16 + 4 * g);
      }
    }
    if (AHEAD) prefetchAhead(t, b);
    F scale = loadHalf(p + 256), shift = loadHalf(p + 288);
    UNROLL for (int m = 0; m < N; m++) {
      acc[m] = fma(dotFloat(dot[m]), mul(scale, set1(dotScale(in, rows[m], b))), acc[m]);
      acc[m] = fma(shift, set1(dotShift(in, rows[m], b)), acc[m]);
      x[m] += BLOCK;
    }
  }
  UNROLL for (int m = 0; m < N; m++) store(out + m * TILE, acc[m]);
}

template <int N, bool AHEAD>
INLINE void q8Rows(const TileArgs& t, const int* rows, float* out) {
  const Activations& in = *t.in;
  const uint8_t* p = t.weight->tile(t.tile);
  F acc[N];
  UNROLL for (int m = 0; m < N; m++) acc[m] = set1(0);
  for (int b = 0; b < in.blocks; b++, p += 544) {
    I dot[N];
    const int8_t* x[N];
    UNROLL for (int m = 0; m < N; m++) {
      dot[m] = codesZero(in.sums[size_t(rows[m]) * in.blocks + b]);
      x[m] = in.q + (size_t(rows[m]) * in.blocks + b) * BLOCK;
    }
    UNROLL for (int g = 0; g < 8; g++) {
      Bytes w = loadCodes(p + 64 * g);
      UNROLL for (int m = 0; m < N; m++) dotCodes(dot[m], w, x[m] + 4 * g);
    }
    if (AHEAD) prefetchAhead(t, b);
    F scale = loadHalf(p + 512);
    UNROLL for (int m = 0; m < N; m++) {
      acc[m] = fma(codesFloat(dot[m]), mul(scale, set1(dotScale(in, rows[m], b))), acc[m]);
    }
  }
  UNROLL for (int m = 0; m < N; m++) store(out + m * TILE, acc[m]);
}

alignas(64) static const float NF4_BOOK[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
    -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
    0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

template <int N, bool AHEAD>
INLINE void nf4Rows(const TileArgs& t, const int* rows, float* out) {
  const Activations& in = *t.in;
  const uint8_t* p = t.weight->tile(t.tile);
  F book = load(NF4_BOOK);
  const float* x[N];
  F acc[N];
  UNROLL for (int m = 0; m < N; m++) {
    x[m] = in.x + size_t(rows[m]) * in.stride;
    acc[m] = set1(0);
  }
  for (int b = 0; b < t.weight->blocks; b++, p += 576) {
    F even[N], odd[N];
    UNROLL for (int m = 0; m < N; m++) even[m] = odd[m] = set1(0);
    for (int c = 0; c < 8; c++) {
      I words = loadWords(p + 64 * c);
      UNROLL for (int j = 0; j < 8; j += 2) {
        F w = code(words, j, book);
        UNROLL for (int m = 0; m < N; m++) even[m] = fma(w, set1(x[m][8 * c + j]), even[m]);
        w = code(words, j + 1, book);
        UNROLL for (int m = 0; m < N; m++) odd[m] = fma(w, set1(x[m][8 * c + j + 1]), odd[m]);
      }
    }
    if (AHEAD) prefetchAhead(t, b);
    F absmax = load(reinterpret_cast<const float*>(p + 512));
    UNROLL for (int m = 0; m < N; m++) {
      acc[m] = fma(add(even[m], odd[m]), absmax, acc[m]);
      x[m] += NF4_BLOCK;
    }
  }
  UNROLL for (int m = 0; m < N; m++) store(out + m * TILE, acc[m]);
}

// The codebook times SCALE as int8, off by at most 0.5: of all scales up to 127 this one has the
// smallest rms error, 0.0017 of 1.
alignas(16) static const int8_t NF4_INT8[16] = {-112, -78, -59, -44, -32, -21, -10, 0, 9, 18, 28, 38, 49, 63, 81, 112};
constexpr float NF4_INT8_SCALE = 112.03f;

template <int N, bool AHEAD>
INLINE void nf4Int8Rows(const TileArgs& t, const int* rows, float* out) {
  const Activations& in = *t.in;
  const uint8_t* p = t.weight->tile(t.tile);
  const Bytes book = codebook(NF4_INT8);
  F acc[N];
  UNROLL for (int m = 0; m < N; m++) acc[m] = set1(0);
  for (int b = 0; b < t.weight->blocks; b++, p += 64) {
    F part[N];
    UNROLL for (int half = 0; half < 2; half++, p += 256) {
      I dot[N];
      const int8_t* x[N];
      UNROLL for (int m = 0; m < N; m++) {
        size_t at = size_t(rows[m]) * in.blocks + 2 * b + half;
        dot[m] = codesZero(in.sums[at]);
        x[m] = in.q + at * BLOCK;
      }
      UNROLL for (int g = 0; g < 4; g++) {
        Bytes low, high;
        nibbles(p + 64 * g, low, high);
        low = lookUp(book, low);
        high = lookUp(book, high);
        UNROLL for (int m = 0; m < N; m++) {
          dotCodes(dot[m], low, x[m] + 4 * g);
          dotCodes(dot[m], high, x[m] + 16 + 4 * g);
        }
      }
      UNROLL for (int m = 0; m < N; m++) {
        F d = set1(dotScale(in, rows[m], 2 * b + half));
        F value = codesFloat(dot[m]);
        part[m] = half == 0 ? mul(value, d) : fma(value, d, part[m]);
      }
    }
    if (AHEAD) prefetchAhead(t, b);
    F absmax = load(reinterpret_cast<const float*>(p));
    UNROLL for (int m = 0; m < N; m++) acc[m] = fma(part[m], absmax, acc[m]);
  }
  F unscale = set1(1 / NF4_INT8_SCALE);
  UNROLL for (int m = 0; m < N; m++) store(out + m * TILE, mul(acc[m], unscale));
}

template <int KIND>
INLINE F denseColumn(const uint8_t* p) {
  if constexpr (KIND == F32) return load(reinterpret_cast<const float*>(p));
  if constexpr (KIND == F16) return loadHalf(p);
  return loadBf16(p);
}

template <int KIND, int N>
INLINE void denseRows(const TileArgs& t, const int* rows, float* out) {
  constexpr int COLUMN = TILE * (KIND == F32 ? 4 : 2);
  const Activations& in = *t.in;
  const uint8_t* p = t.weight->tile(t.tile);
  F acc[N][4];
  const float* x[N];
  UNROLL for (int m = 0; m < N; m++) {
    x[m] = in.x + size_t(rows[m]) * in.stride;
    UNROLL for (int j = 0; j < 4; j++) acc[m][j] = set1(0);
  }
  for (int k = 0; k < t.weight->cols; k += 4) {  // columns are padded with zeros, x too
    UNROLL for (int j = 0; j < 4; j++, p += COLUMN) {
      F w = denseColumn<KIND>(p);
      UNROLL for (int m = 0; m < N; m++) acc[m][j] = fma(w, set1(x[m][k + j]), acc[m][j]);
    }
  }
  UNROLL for (int m = 0; m < N; m++) {
    store(out + m * TILE, add(add(acc[m][0], acc[m][1]), add(acc[m][2], acc[m][3])));
  }
}

// Runs `body<N>` over all rows, the most at once first.
#define OVER_ROWS(MOST, CALL)                                            \
  const int* rows = t.rows;                                              \
  float* out = t.out;                                                    \
  int left = t.n;                                                        \
  for (; MOST >= 8 && left >= 8; left -= 8, rows += 8, out += 8 * TILE) { \
    constexpr int N = MOST >= 8 ? 8 : 1;                                 \
    CALL;                                                                \
  }                                                                      \
  for (; left >= 4; left -= 4, rows += 4, out += 4 * TILE) {             \
    constexpr int N = 4;                                                 \
    CALL;                                                                \
  }                                                                      \
  for (; left >= 2; left -= 2, rows += 2, out += 2 * TILE) {             \
    constexpr int N = 2;                                                 \
    CALL;                                                                \
  }                                                                      \
  for (; left > 0; left--, rows++, out += TILE) {                        \
    constexpr int N = 1;                                                 \
    CALL;                                                                \
  }

// The first rows of a tile look ahead. As a kind of its own: the loop's few registers are the others' loss.
#define AHEAD_OR_NOT(F) (t.aheads > 0 && rows == t.rows ? F<N, true>(t, rows, out) : F<N, false>(t, rows, out))
static void q4Tile(const TileArgs& t) { OVER_ROWS(MAX_ROWS, AHEAD_OR_NOT(q4Rows)) }
static void q8Tile(const TileArgs& t) { OVER_ROWS(MAX_ROWS, AHEAD_OR_NOT(q8Rows)) }
static void nf4Tile(const TileArgs& t) { OVER_ROWS(MAX_ROWS, AHEAD_OR_NOT(nf4Rows)) }
static void nf4Int8Tile(const TileArgs& t) { OVER_ROWS(MAX_ROWS, AHEAD_OR_NOT(nf4Int8Rows)) }
static void f32Tile(const TileArgs& t) { OVER_ROWS(4, (denseRows<F32, N>(t, rows, out))) }
static void f16Tile(const TileArgs& t) { OVER_ROWS(4, (denseRows<F16, N>(t, rows, out))) }
static void bf16Tile(const TileArgs& t) { OVER_ROWS(4, (denseRows<BF16, N>(t, rows, out))) }

// Per block of 32: d = max |x| / 127, q = round(x / d).
static void quantize(const float* x, int cols, int8_t* q, float* d, float* ds, int32_t* sums) {
  for (int b = 0; b < cols / BLOCK; b++, x += BLOCK, q += BLOCK) {
    F low = load(x), high = load(x + 16);
    float most = largest(max(abs(low), abs(high)));
    float scale = most / 127;
    F inverse = set1(most > 0 ? 127 / most : 0);
    sums[b] = storeBytes(q, round(mul(low, inverse))) + storeBytes(q + 16, round(mul(high, inverse)));
    d[b] = scale;
    ds[b] = scale * float(sums[b]);
  }
}

// out[row] = scale * (a x[row]): per rank, 16 lanes over the inputs, then their sum. R ranks of N
// rows run side by side.
template <int R, int N>
INLINE void shrinkRanks(const LoraEntry& e, int r, const float* const* x, float* const* out) {
  const size_t padded = roundUp(e.in, 16);
  F acc[R][N];
  UNROLL for (int j = 0; j < R; j++) UNROLL for (int m = 0; m < N; m++) acc[j][m] = set1(0);
  const uint16_t* a = e.a + r * padded;
  for (size_t k = 0; k < padded; k += 16, a += R * 16) {
    UNROLL for (int j = 0; j < R; j++) {
      F w = loadHalf(a + j * 16);
      UNROLL for (int m = 0; m < N; m++) acc[j][m] = fma(w, load(x[m] + k), acc[j][m]);
    }
  }
  UNROLL for (int j = 0; j < R; j++) {
    UNROLL for (int m = 0; m < N; m++) out[m][r + j] = e.scale * sum(acc[j][m]);
  }
}

template <int N>
INLINE void shrinkRows(const LoraEntry& e, const float* const* x, float* const* out) {
  int r = 0;
  for (; r + 4 <= e.rank; r += 4) shrinkRanks<4, N>(e, r, x, out);
  for (; r < e.rank; r++) shrinkRanks<1, N>(e, r, x, out);
}

static void shrink(const LoraEntry& e, const float* x, size_t stride, const int* rows, int n,
                   float* out, size_t outStride) {
  constexpr int MOST = MAX_ROWS == 8 ? 4 : 2;  // as registers allow
  const float* from[MOST];
  float* to[MOST];
  for (int done = 0; done < n;) {
    int count = n - done >= MOST ? MOST : 1;
    for (int m = 0; m < count; m++) {
      from[m] = x + rows[done + m] * stride;
      to[m] = out + rows[done + m] * outStride;
    }
    if (count == MOST) {
      shrinkRows<MOST>(e, from, to);
    } else {
      shrinkRows<1>(e, from, to);
    }
    done += count;
  }
}

INLINE F loadSome(const float* p, int count) {
  if (count >= TILE) return load(p);
  float padded[TILE] = {};
  for (int i = 0; i < count; i++) padded[i] = p[i];
  return load(padded);
}

// y[m] = b shrunk[m] for N rows of one adapter, in four sums that do not wait for each other.
template <int N>
INLINE void expandRows(const LoraEntry& e, int tile, const float* const* t, F* y) {
  const uint16_t* b = e.b + size_t(tile) * TILE * e.rank;
  F sums[4][N];
  UNROLL for (int j = 0; j < 4; j++) UNROLL for (int m = 0; m < N; m++) sums[j][m] = set1(0);
  int r = 0;
  for (; r + 4 <= e.rank; r += 4, b += 4 * TILE) {
    UNROLL for (int j = 0; j < 4; j++) {
      F w = loadHalf(b + j * TILE);
      UNROLL for (int m = 0; m < N; m++) sums[j][m] = fma(w, set1(t[m][r + j]), sums[j][m]);
    }
  }
  for (; r < e.rank; r++, b += TILE) {
    F w = loadHalf(b);
    UNROLL for (int m = 0; m < N; m++) sums[0][m] = fma(w, set1(t[m][r]), sums[0][m]);
  }
  UNROLL for (int m = 0; m < N; m++) y[m] = add(add(sums[0][m], sums[1][m]), add(sums[2][m], sums[3][m]));
}

// y = rowScale * (base + b shrunk + biasB) + bias of N rows of one adapter, then stored or added.
template <int N>
INLINE void finishRows(const FinishArgs& f, int i, const LoraEntry* e, F bias, int count) {
  const int first = f.tile * TILE;
  F y[N], update[N];
  UNROLL for (int m = 0; m < N; m++) y[m] = load(f.base + (i + m) * TILE);
  if (e != nullptr) {
    const float* t[N];
    UNROLL for (int m = 0; m < N; m++) t[m] = f.shrunk + f.rows[i + m] * f.shrunkStride;
    expandRows<N>(*e, f.tile, t, update);
    UNROLL for (int m = 0; m < N; m++) {
      y[m] = add(y[m], update[m]);
      if (e->bias != nullptr) y[m] = add(y[m], load(e->bias + first));
      if (e->rowScale != nullptr) y[m] = mul(y[m], load(e->rowScale + first));
    }
  }
  UNROLL for (int m = 0; m < N; m++) {
    if (f.bias != nullptr) y[m] = add(y[m], bias);
    float* out = f.out + size_t(f.rows[i + m]) * f.cols + first;
    if (f.accumulate) y[m] = add(loadSome(out, count), y[m]);
    if (count == TILE) {
      store(out, y[m]);
    } else {
      float padded[TILE];
      store(padded, y[m]);
      for (int c = 0; c < count; c++) out[c] = padded[c];
    }
  }
}

static void finish(const FinishArgs& f) {
  const int first = f.tile * TILE;
  const int count = f.cols - first < TILE ? f.cols - first : TILE;
  F bias = f.bias == nullptr ? set1(0) : loadSome(f.bias + first, count);
  for (int i = 0; i < f.n;) {
    const LoraEntry* e = f.entries == nullptr ? nullptr : f.entries[f.rows[i]];
    // Rows come by slot, so the fourth one with this entry has two of it between.
    bool four = i + 4 <= f.n && (f.entries == nullptr || f.entries[f.rows[i + 3]] == e);
    const LoraEntry* update = e != nullptr && e->replacement == nullptr ? e : nullptr;
    if (four) {
      finishRows<4>(f, i, update, bias, count);
      i += 4;
    } else {
      finishRows<1>(f, i, update, bias, count);
      i++;
    }
  }
}
