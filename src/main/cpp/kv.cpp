// Pages of keys and values, as halves or as int8.
#include <algorithm>
#include <cmath>

#include "chorale.h"

namespace chorale {

KvPages::KvPages(const KvShape& shape) : KvShape(shape), width(int(roundUp(headDim, 16))) {
  pairBytes = roundUp(scalesAt() + (q8 ? 64 : 0), 64);
  pairs = static_cast<uint8_t*>(allocate(bytes()));
}

KvPages::~KvPages() { release(pairs); }

namespace {

// x = d * q with d a half, such that no q is beyond 127: off by at most d / 2, where d is the
// largest |x| over 127, rounded up in the last place if need be. Returns d's bits.
uint16_t quantize(const float* x, int n, int8_t* q, size_t stride) {
  float most = 0;
  for (int i = 0; i < n; i++) most = std::max(most, std::fabs(x[i]));
  uint16_t scale = floatToHalf(std::min(most / 127, 65504.0f));
  if (halfToFloat(scale) * 127.49f < most && scale < 0x7bff) scale++;
  float d = halfToFloat(scale);
  float inverse = d > 0 ? 1 / d : 0;
  for (int i = 0; i < n; i++) {
    q[i * stride] = int8_t(std::min(127.0f, std::max(-127.0f, std::nearbyint(x[i] * inverse))));
  }
  return scale;
}

}  // namespace

void KvPages::put(int layer, int kvHead, size_t slot, const float* key, const float* value) {
  uint8_t* to = pair(layer, kvHead, slot);
  const size_t i = slot % 16;
  if (q8) {
    int8_t* codes = reinterpret_cast<int8_t*>(to);
    uint16_t* scales = reinterpret_cast<uint16_t*>(to + scalesAt());
    scales[i] = quantize(key, headDim, codes + i, 16);
    scales[16 + i] = quantize(value, headDim, codes + valuesAt() + i * width, 1);
    return;
  }
  uint16_t* keys = reinterpret_cast<uint16_t*>(to) + i;
  uint16_t* values = reinterpret_cast<uint16_t*>(to + valuesAt()) + i * width;
  for (int d = 0; d < headDim; d++) {
    keys[size_t(d) * 16] = floatToHalf(key[d]);
    values[d] = floatToHalf(value[d]);
  }
}

}  // namespace chorale
