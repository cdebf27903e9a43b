// Packing of weights into tiles, and back to float rows for lookups and norms.
#include <cstring>

#include "chorale.h"

namespace chorale {

namespace {

constexpr int GGML_Q4_0 = 2, GGML_Q4_1 = 3;
constexpr size_t Q4_BYTES = 320, Q8_BYTES = 544, NF4_BYTES = 576;

// bitsandbytes' codebook (Dettmers et al. 2023, arXiv:2305.14314).
const float NF4_CODE[16] = {-1.0f,        -0.6961928009986877f, -0.5250730514526367f,
                            -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
                            -0.09105003625154495f, 0.0f, 0.07958029955625534f,
                            0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
                            0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

// Where input k of row r has its code in a tile of NF4_I8.
size_t int8At(int k, int r) {
  return k / NF4_BLOCK * NF4_BYTES + k % NF4_BLOCK / 32 * 256 + k % 16 / 4 * 64 + r * 4 + k % 4;
}

uint16_t read16(const uint8_t* p) { return uint16_t(p[0] | p[1] << 8); }

float bits(uint32_t word) {
  float value;
  memcpy(&value, &word, 4);
  return value;
}

void packQ4(uint8_t* block, int r, const uint8_t* in, bool affine) {
  const uint8_t* codes = in + (affine ? 4 : 2);
  for (int k = 0; k < 16; k++) block[k / 4 * 64 + r * 4 + k % 4] = codes[k];
  uint16_t scale = read16(in);
  // Q4_0 is code * d - 8 d; 8 d is exact in half precision unless d is beyond 8188.
  uint16_t min = affine ? read16(in + 2) : floatToHalf(-8 * halfToFloat(scale));
  memcpy(block + 256 + 2 * r, &scale, 2);
  memcpy(block + 288 + 2 * r, &min, 2);
}

}  // namespace

float halfToFloat(uint16_t half) {
  uint32_t sign = uint32_t(half & 0x8000) << 16;
  uint32_t magnitude = half & 0x7fff;
  if (magnitude >= 0x7c00) return bits(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
  // Exponent bias 15 becomes 127 by a multiplication, which also normalises subnormals exactly.
  float value = bits(magnitude << 13) * 0x1p112f;
  uint32_t word;
  memcpy(&word, &value, 4);
  return bits(word | sign);
}

uint16_t floatToHalf(float value) {
  uint32_t word;
  memcpy(&word, &value, 4);
  uint16_t sign = uint16_t(word >> 16 & 0x8000);
  uint32_t magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;  // 65520 and above round to infinity
  if (magnitude < 0x38800000) {  // subnormal: in units of 2^-24, rounded by the addition
    float rounded = bits(magnitude) + 0.5f;
    memcpy(&word, &rounded, 4);
    return uint16_t(sign | (word - 0x3f000000));
  }
  uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
  return uint16_t(sign | (rounded - 0x38000000) >> 13);
}

Weight::Weight(int kind, int rows, int cols) : kind(kind), rows(rows), cols(cols) {
  tiles = int(roundUp(rows, TILE)) / TILE;
  size_t padded = roundUp(cols, 16);
  switch (kind) {
    case Q4:
      blocks = cols / BLOCK;
      tileBytes = blocks * Q4_BYTES;
      break;
    case Q8:
      blocks = cols / BLOCK;
      tileBytes = roundUp(blocks * Q8_BYTES, 64);
      break;
    case NF4:
    case NF4_I8:
      blocks = cols / NF4_BLOCK;
      tileBytes = blocks * NF4_BYTES;
      break;
    default:
      blocks = 0;
      tileBytes = padded * TILE * (kind == F32 ? 4 : 2);
  }
  data = static_cast<uint8_t*>(allocate(bytes()));
}

void Weight::packGgml(int type, int from, int count, const uint8_t* in) {
  size_t blockBytes = kind == Q8 ? 34 : type == GGML_Q4_1 ? 20 : 18;
  for (int row = from; row < from + count; row++) {
    uint8_t* t = data + row / TILE * tileBytes;
    int r = row % TILE;
    for (int b = 0; b < blocks; b++, in += blockBytes) {
      if (kind == Q4) {
        packQ4(t + b * Q4_BYTES, r, in, type != GGML_Q4_0);
        continue;
      }
      for (int k = 0; k < BLOCK; k++) t[b * Q8_BYTES + k / 4 * 64 + r * 4 + k % 4] = in[2 + k];
      memcpy(t + b * Q8_BYTES + 512 + r * 2, in, 2);
    }
  }
}

void Weight::packNf4(int from, int count, const uint8_t* codes, const float* absmax) {
  for (int row = from; row < from + count; row++) {
    uint8_t* t = data + row / TILE * tileBytes;
    int r = row % TILE;
    for (int k = 0; k < cols; k += 2, codes++) {
      if (kind == NF4_I8) {
        t[int8At(k, r)] |= *codes >> 4 << (k % 32 / 16 * 4);
        t[int8At(k + 1, r)] |= (*codes & 15) << (k % 32 / 16 * 4);
        continue;
      }
      // bitsandbytes has the earlier value in the high nibble, a word here in the lower bits.
      uint8_t swapped = uint8_t(*codes << 4 | *codes >> 4);
      t[k / NF4_BLOCK * NF4_BYTES + k % NF4_BLOCK / 8 * 64 + r * 4 + k % 8 / 2] = swapped;
    }
    for (int b = 0; b < blocks; b++, absmax++) memcpy(t + b * NF4_BYTES + 512 + r * 4, absmax, 4);
  }
}

void Weight::packFloats(int from, int count, const float* values) {
  for (int row = from; row < from + count; row++) {
    uint8_t* t = data + row / TILE * tileBytes;
    for (int k = 0; k < cols; k++, values++) {
      size_t at = size_t(k) * TILE + row % TILE;
      if (kind == F32) {
        memcpy(t + 4 * at, values, 4);
      } else if (kind == F16) {
        uint16_t half = floatToHalf(*values);
        memcpy(t + 2 * at, &half, 2);
      } else {
        memcpy(t + 2 * at, reinterpret_cast<const uint8_t*>(values) + 2, 2);
      }
    }
  }
}

void Weight::dequantizeRow(int row, float* out) const {
  const uint8_t* t = tile(row / TILE);
  int r = row % TILE;
  for (int k = 0; k < cols; k++) {
    size_t at = size_t(k) * TILE + r;
    switch (kind) {
      case Q4: {
        const uint8_t* block = t + k / BLOCK * Q4_BYTES;
        int in = k % BLOCK;
        int code = block[in % 16 / 4 * 64 + r * 4 + in % 4] >> (in / 16 * 4) & 15;
        float scale = halfToFloat(read16(block + 256 + 2 * r));
        out[k] = float(code) * scale + halfToFloat(read16(block + 288 + 2 * r));
        break;
      }
      case Q8: {
        const uint8_t* block = t + k / BLOCK * Q8_BYTES;
        int code = int8_t(block[k % BLOCK / 4 * 64 + r * 4 + k % 4]);
        out[k] = float(code) * halfToFloat(read16(block + 512 + 2 * r));
        break;
      }
      case NF4: {
        const uint8_t* block = t + k / NF4_BLOCK * NF4_BYTES;
        int code = block[k % NF4_BLOCK / 8 * 64 + r * 4 + k % 8 / 2] >> (k % 2 * 4) & 15;
        float absmax;
        memcpy(&absmax, block + 512 + r * 4, 4);
        out[k] = NF4_CODE[code] * absmax;
        break;
      }
      case NF4_I8: {
        int code = t[int8At(k, r)] >> (k % 32 / 16 * 4) & 15;
        float absmax;
        memcpy(&absmax, t + k / NF4_BLOCK * NF4_BYTES + 512 + r * 4, 4);
        out[k] = NF4_CODE[code] * absmax;
        break;
      }
      case F32:
        memcpy(out + k, t + 4 * at, 4);
        break;
      case F16:
        out[k] = halfToFloat(read16(t + 2 * at));
        break;
      default:
        out[k] = bits(uint32_t(read16(t + 2 * at)) << 16);
    }
  }
}

}  // namespace chorale
