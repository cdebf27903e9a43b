// Causal attention over whole sequences, forward and backward, in float32 whatever the element type.
// Included once per instruction set, after kernels_train.inl; GEMM_ROWS x GEMM_LANES accumulators
// fit the registers.

constexpr int QUERIES = 24;  // queries of one tile

// C[M, 16 NV] (+)= A B: A's element (m, k) at m * am + k * ak, B [depth, ldb].
template <int M, int NV>
INLINE void product(int depth, const float* a, size_t am, size_t ak, const float* b, size_t ldb,
                    float* c, size_t ldc, bool accumulate) {
  F acc[M][NV];
  UNROLL for (int m = 0; m < M; m++) {
    UNROLL for (int v = 0; v < NV; v++) acc[m][v] = accumulate ? load(c + m * ldc + 16 * v) : set1(0);
  }
  for (int k = 0; k < depth; k++) {
    F w[NV];
    UNROLL for (int v = 0; v < NV; v++) w[v] = load(b + k * ldb + 16 * v);
    UNROLL for (int m = 0; m < M; m++) {
      F x = set1(a[m * am + k * ak]);
      UNROLL for (int v = 0; v < NV; v++) acc[m][v] = fma(x, w[v], acc[m][v]);
    }
  }
  UNROLL for (int m = 0; m < M; m++) {
    UNROLL for (int v = 0; v < NV; v++) store(c + m * ldc + 16 * v, acc[m][v]);
  }
}

struct Panel {  // a float32 matrix; element (row, col) at row * down + col * across
  float* data;
  size_t down, across;
  Panel from(int row, int col) const { return {data + row * down + col * across, down, across}; }
  Panel turned() const { return {data, across, down}; }
};

template <int NV>
static void columns(int rows, int depth, const Panel& a, const Panel& b, const Panel& c, int col,
                    bool accumulate) {
  int m = 0;
  for (; m + GEMM_ROWS <= rows; m += GEMM_ROWS) {
    product<GEMM_ROWS, NV>(depth, a.data + m * a.down, a.down, a.across, b.data + col, b.down,
                           c.data + m * c.down + col, c.down, accumulate);
  }
  for (; m < rows; m++) {
    product<1, NV>(depth, a.data + m * a.down, a.down, a.across, b.data + col, b.down,
                   c.data + m * c.down + col, c.down, accumulate);
  }
}

// C[rows, cols] (+)= A[rows, depth] B[depth, cols]; cols a multiple of 16, B and C with across 1.
static void multiply(int rows, int cols, int depth, const Panel& a, const Panel& b, const Panel& c,
                     bool accumulate) {
  int col = 0;
  for (; col + 16 * GEMM_LANES <= cols; col += 16 * GEMM_LANES) {
    columns<GEMM_LANES>(rows, depth, a, b, c, col, accumulate);
  }
  for (; col < cols; col += 16) columns<1>(rows, depth, a, b, c, col, accumulate);
}

// Rows first .. first+n-1 of one head, times a factor, lengthened by zeros to the panel's width.
template <typename T>
static void takeHead(const void* from, size_t stride, int first, int n, int at, int dim, float factor,
                     const Panel& to) {
  F scale = set1(factor);
  const int width = int(roundUp(dim, 16));
  for (int r = 0; r < n; r++) {
    const T* row = static_cast<const T*>(from) + size_t(first + r) * stride + at;
    for (int d = 0; d < width; d += 16) {
      store(to.data + r * to.down + d, mul(getSome(row + d, dim - d), scale));
    }
  }
}

template <typename T>
static void giveHead(const Panel& from, int n, float factor, void* to, size_t stride, int first, int at,
                     int dim) {
  F scale = set1(factor);
  for (int r = 0; r < n; r++) {
    T* row = static_cast<T*>(to) + size_t(first + r) * stride + at;
    for (int d = 0; d < dim; d += 16) {
      putSome(row + d, mul(load(from.data + r * from.down + d), scale), dim - d);
    }
  }
}

static void turn(const Panel& from, int n, int padded, int width, const Panel& to) {
  for (int d = 0; d < width; d++) {
    float* row = to.data + d * to.down;
    for (int r = 0; r < n; r++) row[r] = from.data[r * from.down + d];
    for (int r = n; r < padded; r++) row[r] = 0;
  }
}

struct Carver {
  float* at;
  Panel panel(size_t rows, size_t cols) {
    Panel p{at, cols, 1};
    at += rows * cols;
    return p;
  }
};

static size_t attendScratch(int length, int dim, bool backward) {
  const size_t padded = roundUp(length, 16), width = roundUp(dim, 16);
  const size_t matrices = backward ? 6 : 3;
  return matrices * padded * width + QUERIES * ((backward ? 2 : 1) * padded + 4 * width);
}

struct Span {  // a tile's queries and the keys it sees, counted from the sequence's first row
  int from, rows, firstKey, keys;  // keys: up to the last query's own
  int padded() const { return int(roundUp(keys, 16)); }
};

INLINE Span spanOf(int from, int length, int window) {
  const int rows = length - from < QUERIES ? length - from : QUERIES;
  const int first = window == 0 || from < window ? 0 : (from - window + 1) / 16 * 16;
  return {from, rows, first, from + rows - first};
}

// Takes what a query does not see out of its scores.
INLINE void hide(const Span& span, int window, int r, float* scores) {
  const int query = span.from + r - span.firstKey, all = span.padded();
  for (int j = query + 1; j < all; j++) scores[j] = -__builtin_inff();
  if (window > 0) {
    for (int j = 0; j <= query - window; j++) scores[j] = -__builtin_inff();
  }
}

template <typename T>
static void attend(const SequenceArgs& a, int sequence, int kvHead, float* scratch) {
  const int start = a.starts[sequence], length = a.starts[sequence + 1] - start;
  const int width = int(roundUp(a.dim, 16)), padded = int(roundUp(length, 16));
  const int group = a.heads / a.kvHeads;
  const size_t stride = size_t(a.heads) * a.dim, kvStride = size_t(a.kvHeads) * a.dim;
  Carver carve{scratch};
  Panel keys = carve.panel(padded, width), turned = carve.panel(width, padded);
  Panel values = carve.panel(padded, width), scores = carve.panel(QUERIES, padded);
  Panel queries = carve.panel(QUERIES, width), mixed = carve.panel(QUERIES, width);
  takeHead<T>(a.k, kvStride, start, length, kvHead * a.dim, a.dim, 1, keys);
  turn(keys, length, padded, width, turned);
  takeHead<T>(a.v, kvStride, start, length, kvHead * a.dim, a.dim, 1, values);
  const float scale = 1 / __builtin_sqrtf(float(a.dim));
  for (int h = kvHead * group; h < (kvHead + 1) * group; h++) {
    for (int from = 0; from < length; from += QUERIES) {
      const Span span = spanOf(from, length, a.window);
      takeHead<T>(a.q, stride, start + from, span.rows, h * a.dim, a.dim, scale, queries);
      multiply(span.rows, span.padded(), width, queries, turned.from(0, span.firstKey), scores, false);
      float share[QUERIES];
      for (int r = 0; r < span.rows; r++) {
        float* s = scores.data + r * scores.down;
        hide(span, a.window, r, s);
        F most = set1(-__builtin_inff()), total = set1(0);
        for (int j = 0; j < span.padded(); j += 16) most = max(most, load(s + j));
        const float top = largest(most);
        for (int j = 0; j < span.padded(); j += 16) {
          F e = exponential(sub(load(s + j), set1(top)));
          store(s + j, e);
          total = add(total, e);
        }
        const float all = sum(total);
        share[r] = 1 / all;
        a.logSums[size_t(start + from + r) * a.heads + h] = top + float(__builtin_log(double(all)));
      }
      multiply(span.rows, width, span.keys, scores, values.from(span.firstKey, 0), mixed, false);
      for (int r = 0; r < span.rows; r++) {
        giveHead<T>(mixed.from(r, 0), 1, share[r], a.out, stride, start + from + r, h * a.dim, a.dim);
      }
    }
  }
}

// Turns scores into probabilities p and their gradients into p * (gradient - dot).
INLINE void backThroughSoftmax(int n, float logSum, float dot, float* p, float* d) {
  for (int j = 0; j < n; j += 16) {
    F share = exponential(sub(load(p + j), set1(logSum)));
    store(p + j, share);
    store(d + j, mul(share, sub(load(d + j), set1(dot))));
  }
}

INLINE float dotOf(const float* x, const float* y, int width) {
  F total = set1(0);
  for (int i = 0; i < width; i += 16) total = fma(load(x + i), load(y + i), total);
  return sum(total);
}

template <typename T>
static void attendBackward(const SequenceArgs& a, int sequence, int kvHead, float* scratch) {
  const int start = a.starts[sequence], length = a.starts[sequence + 1] - start;
  const int width = int(roundUp(a.dim, 16)), padded = int(roundUp(length, 16));
  const int group = a.heads / a.kvHeads;
  const size_t stride = size_t(a.heads) * a.dim, kvStride = size_t(a.kvHeads) * a.dim;
  Carver carve{scratch};
  Panel keys = carve.panel(padded, width), turnedKeys = carve.panel(width, padded);
  Panel values = carve.panel(padded, width), turnedValues = carve.panel(width, padded);
  Panel dKeys = carve.panel(padded, width), dValues = carve.panel(padded, width);
  Panel p = carve.panel(QUERIES, padded), ds = carve.panel(QUERIES, padded);
  Panel queries = carve.panel(QUERIES, width), out = carve.panel(QUERIES, width);
  Panel dOut = carve.panel(QUERIES, width), dQueries = carve.panel(QUERIES, width);
  takeHead<T>(a.k, kvStride, start, length, kvHead * a.dim, a.dim, 1, keys);
  turn(keys, length, padded, width, turnedKeys);
  takeHead<T>(a.v, kvStride, start, length, kvHead * a.dim, a.dim, 1, values);
  turn(values, length, padded, width, turnedValues);
  for (size_t i = 0; i < 2 * size_t(padded) * width; i += 16) store(dKeys.data + i, set1(0));
  const float scale = 1 / __builtin_sqrtf(float(a.dim));
  for (int h = kvHead * group; h < (kvHead + 1) * group; h++) {
    for (int from = 0; from < length; from += QUERIES) {
      const Span span = spanOf(from, length, a.window);
      const int first = start + from, at = h * a.dim;
      takeHead<T>(a.q, stride, first, span.rows, at, a.dim, scale, queries);
      takeHead<T>(a.out, stride, first, span.rows, at, a.dim, 1, out);
      takeHead<T>(a.dOut, stride, first, span.rows, at, a.dim, 1, dOut);
      multiply(span.rows, span.padded(), width, queries, turnedKeys.from(0, span.firstKey), p, false);
      multiply(span.rows, span.padded(), width, dOut, turnedValues.from(0, span.firstKey), ds, false);
      for (int r = 0; r < span.rows; r++) {
        float* scores = p.data + r * p.down;
        hide(span, a.window, r, scores);
        const float dot = dotOf(dOut.data + r * width, out.data + r * width, width);
        const float logSum = a.logSums[size_t(first + r) * a.heads + h];
        backThroughSoftmax(span.padded(), logSum, dot, scores, ds.data + r * ds.down);
      }
      multiply(span.keys, width, span.rows, p.turned(), dOut, dValues.from(span.firstKey, 0), true);
      multiply(span.keys, width, span.rows, ds.turned(), queries, dKeys.from(span.firstKey, 0), true);
      multiply(span.rows, width, span.keys, ds, keys.from(span.firstKey, 0), dQueries, false);
      giveHead<T>(dQueries, span.rows, scale, a.dq, stride, first, at, a.dim);
    }
  }
  giveHead<T>(dKeys, length, 1, a.dk, kvStride, start, kvHead * a.dim, a.dim);
  giveHead<T>(dValues, length, 1, a.dv, kvStride, start, kvHead * a.dim, a.dim);
}

#define FOR_BOTH(function) {function<float>, function<Bf16>}
static constexpr TrainKernels TRAIN_TABLE = {
    FOR_BOTH(unpackQ4),  FOR_BOTH(unpackQ8),     FOR_BOTH(unpackNf4), FOR_BOTH(rmsNormRow), FOR_BOTH(rmsNormBackward),
    FOR_BOTH(rotateRow), FOR_BOTH(siluRow),      FOR_BOTH(siluBackward), FOR_BOTH(lossRow),
    FOR_BOTH(dropoutRow), FOR_BOTH(dropoutAdd),  FOR_BOTH(columnDots), attendScratch,        FOR_BOTH(attend),
    FOR_BOTH(attendBackward)};
#undef FOR_BOTH
