// The trainer's element-wise kernels over the lanes of simd_*.h. Included once per instruction set,
// after kernels_rows.inl.

INLINE F get(const float* p) { return load(p); }
INLINE F get(const Bf16* p) { return loadBf16(p); }
INLINE void put(float* p, F x) { store(p, x); }
INLINE void put(Bf16* p, F x) { storeBf16(p, x); }

// The first n of sixteen, the rest zero.
template <typename T>
INLINE F getSome(const T* p, size_t n) {
  if (n >= 16) return get(p);
  T padded[16] = {};
  __builtin_memcpy(padded, p, n * sizeof(T));
  return get(padded);
}

template <typename T>
INLINE void putSome(T* p, F x, size_t n) {
  if (n >= 16) {
    put(p, x);
    return;
  }
  T padded[16];
  put(padded, x);
  __builtin_memcpy(p, padded, n * sizeof(T));
}

INLINE void widenHalves(const uint16_t* from, int count, float* to) {
  for (int i = 0; i < count; i += 16) {
    uint16_t padded[16] = {};
    const uint16_t* p = from + i;
    if (count - i < 16) {
      __builtin_memcpy(padded, p, size_t(count - i) * 2);
      p = padded;
    }
    store(to + i, loadHalf(p));
  }
}

template <typename T>
static void unpackQ4(const uint8_t* codes, const uint16_t* scales, const uint16_t* mins, int cols,
                     float* scratch, void* to) {
  T* out = static_cast<T*>(to);
  const int blocks = cols / BLOCK, half = cols / 2;
  float* d = scratch;
  float* m = scratch + roundUp(blocks, 16);
  widenHalves(scales, blocks, d);
  if (mins != nullptr) widenHalves(mins, blocks, m);
  F eight = set1(8);
  for (int i = 0; i < half; i += 16) {
    F low, high;
    loadNibbles(codes + i, low, high);
    const int b = i / BLOCK, c = (half + i) / BLOCK;
    if (mins == nullptr) {
      put(out + i, mul(sub(low, eight), set1(d[b])));
      put(out + half + i, mul(sub(high, eight), set1(d[c])));
    } else {  // two roundings, as the decoder has them
      put(out + i, add(mul(low, set1(d[b])), set1(m[b])));
      put(out + half + i, add(mul(high, set1(d[c])), set1(m[c])));
    }
  }
}

template <typename T>
static void unpackQ8(const uint8_t* blocks, int cols, void* to) {
  T* out = static_cast<T*>(to);
  for (int i = 0; i < cols; i += BLOCK, blocks += BLOCK + 2) {
    uint16_t half;
    __builtin_memcpy(&half, blocks, 2);
    F d = set1(halfToFloat(half));
    put(out + i, mul(loadInt8(blocks + 2), d));
    put(out + i + 16, mul(loadInt8(blocks + 18), d));
  }
}

template <typename T>
static void unpackNf4(const uint8_t* codes, float scale, void* to) {
  T* out = static_cast<T*>(to);
  F book = load(NF4_BOOK), s = set1(scale);
  for (int i = 0; i < NF4_BLOCK; i += 16) put(out + i, mul(pairCodes(codes + i / 2, book), s));
}

template <typename T>
INLINE float inverseRms(const T* x, int cols, float eps) {
  F squares = set1(0);
  for (int i = 0; i < cols; i += 16) {
    F v = getSome(x + i, cols - i);
    squares = fma(v, v, squares);
  }
  return 1 / __builtin_sqrtf(sum(squares) / float(cols) + eps);
}

template <typename T>
static void rmsNormRow(const void* from, const float* weight, int cols, float eps, void* to) {
  const T* x = static_cast<const T*>(from);
  T* y = static_cast<T*>(to);
  F r = set1(inverseRms(x, cols, eps));
  for (int i = 0; i < cols; i += 16) {
    F v = mul(mul(getSome(x + i, cols - i), r), getSome(weight + i, cols - i));
    putSome(y + i, v, cols - i);
  }
}

template <typename T>
static void rmsNormBackward(const void* d, const void* from, const float* weight, int cols, float eps,
                            void* to) {
  const T* dy = static_cast<const T*>(d);
  const T* x = static_cast<const T*>(from);
  T* dx = static_cast<T*>(to);
  const float inverse = inverseRms(x, cols, eps);
  F along = set1(0);
  for (int i = 0; i < cols; i += 16) {
    F scaled = mul(getSome(dy + i, cols - i), getSome(weight + i, cols - i));
    along = fma(scaled, getSome(x + i, cols - i), along);
  }
  F r = set1(inverse), back = set1(-sum(along) * inverse * inverse * inverse / float(cols));
  for (int i = 0; i < cols; i += 16) {
    F scaled = mul(getSome(dy + i, cols - i), getSome(weight + i, cols - i));
    F own = fma(getSome(x + i, cols - i), back, mul(scaled, r));
    putSome(dx + i, add(getSome(dx + i, cols - i), own), cols - i);
  }
}

template <typename T>
static void rotateRow(void* row, const void* cosines, const void* sines, int width, int half,
                      float direction) {
  const T* cos = static_cast<const T*>(cosines);
  const T* sin = static_cast<const T*>(sines);
  F sign = set1(direction);
  for (T* head = static_cast<T*>(row); width > 0; head += 2 * half, width -= 2 * half) {
    for (int i = 0; i < half; i += 16) {
      F a = getSome(head + i, half - i), b = getSome(head + half + i, half - i);
      F c = getSome(cos + i, half - i), s = mul(getSome(sin + i, half - i), sign);
      putSome(head + i, sub(mul(a, c), mul(b, s)), half - i);
      putSome(head + half + i, add(mul(b, c), mul(a, s)), half - i);
    }
  }
}

template <typename T>
static void siluRow(const void* gate, const void* up, size_t n, void* out) {
  const T* g = static_cast<const T*>(gate);
  const T* u = static_cast<const T*>(up);
  T* y = static_cast<T*>(out);
  for (size_t i = 0; i < n; i += 16) {
    putSome(y + i, mul(silu(getSome(g + i, n - i)), getSome(u + i, n - i)), n - i);
  }
}

template <typename T>
static void siluBackward(const void* dOut, void* gate, void* up, size_t n) {
  const T* d = static_cast<const T*>(dOut);
  T* g = static_cast<T*>(gate);
  T* u = static_cast<T*>(up);
  F one = set1(1);
  for (size_t i = 0; i < n; i += 16) {
    F dy = getSome(d + i, n - i), x = getSome(g + i, n - i), w = getSome(u + i, n - i);
    F share = div(one, add(one, exponential(sub(set1(0), x))));
    F own = mul(x, share);
    F slope = mul(share, fma(x, sub(one, share), one));
    putSome(u + i, mul(dy, own), n - i);
    putSome(g + i, mul(mul(dy, w), slope), n - i);
  }
}

template <typename T>
static double lossRow(void* row, int vocab, int64_t target, float gradScale, float* scratch) {
  T* x = static_cast<T*>(row);
  F most = set1(-__builtin_inff()), bad = set1(0);
  int whole = 0;
  for (; whole + 16 <= vocab; whole += 16) {
    F v = get(x + whole);
    bad = fma(v, set1(0), bad);  // not a number if a logit is not finite
    most = max(most, v);
  }
  for (; whole < vocab; whole++) {
    F v = set1(sum(getSome(x + whole, 1)));
    bad = fma(v, set1(0), bad);
    most = max(most, v);
  }
  const float top = largest(most);
  F origin = set1(top);
  double total = 0;
  for (int from = 0; from < vocab; from += 4096) {
    F part = set1(0);
    const int to = vocab < from + 4096 ? vocab : from + 4096;
    for (int i = from; i < to; i += 16) {
      F e = exponential(sub(getSome(x + i, to - i), origin));
      if (to - i < 16) {
        float kept[16], lanes[16] = {};
        store(kept, e);
        __builtin_memcpy(lanes, kept, size_t(to - i) * 4);
        e = load(lanes);
      }
      store(scratch + i, e);
      part = add(part, e);
    }
    total += sum(part);
  }
  total += sum(bad);
  const double loss = __builtin_log(total) + top - double(sum(getSome(x + target, 1)));
  F factor = set1(float(gradScale / total));
  scratch[target] -= float(total);
  for (int i = 0; i < vocab; i += 16) putSome(x + i, mul(load(scratch + i), factor), vocab - i);
  return loss;
}

template <typename T>
static void columnDots(const void* left, const void* right, int rows, size_t stride, int count, float* out) {
  const T* x = static_cast<const T*>(left);
  const T* y = static_cast<const T*>(right);
  for (; count >= 32; count -= 32, x += 32, y += 32, out += 32) {
    F low = set1(0), high = set1(0);
    for (int r = 0; r < rows; r++) {
      low = fma(get(x + r * stride), get(y + r * stride), low);
      high = fma(get(x + r * stride + 16), get(y + r * stride + 16), high);
    }
    store(out, low);
    store(out + 16, high);
  }
  for (int c = 0; c < count; c += 16) {
    F dots = set1(0);
    for (int r = 0; r < rows; r++) {
      const size_t at = r * stride + c;
      dots = fma(getSome(x + at, count - c), getSome(y + at, count - c), dots);
    }
    putSome(out + c, dots, count - c);
  }
}

// SplitMix64: the n-th output of a seed, for four elements.
INLINE uint64_t draw(uint64_t seed, uint64_t n) {
  uint64_t z = seed + 0x9e3779b97f4a7c15ull * (n + 1);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return z ^ z >> 31;
}

// Sixteen elements' 0 or 1.
INLINE F mask16(uint64_t seed, size_t at, int threshold) {
  uint64_t bits[4];
  for (int i = 0; i < 4; i++) bits[i] = draw(seed, at / 4 + i);
  return below(bits, threshold);
}

template <typename T>
static void dropoutRow(const void* from, uint64_t seed, size_t at, size_t n, int threshold, void* to) {
  const T* x = static_cast<const T*>(from) + at;
  T* out = static_cast<T*>(to) + at;
  for (size_t i = 0; i < n; i += 16) {
    putSome(out + i, mul(getSome(x + i, n - i), mask16(seed, at + i, threshold)), n - i);
  }
}

template <typename T>
static void dropoutAdd(const void* from, uint64_t seed, size_t at, size_t n, int threshold, void* to) {
  const T* d = static_cast<const T*>(from) + at;
  T* dx = static_cast<T*>(to) + at;
  for (size_t i = 0; i < n; i += 16) {
    F own = mul(getSome(d + i, n - i), mask16(seed, at + i, threshold));
    putSome(dx + i, add(getSome(dx + i, n - i), own), n - i);
  }
}
