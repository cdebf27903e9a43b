// The plain C++ interface of Chorale's CPU kernels: addresses, sizes and strides; no JNI, no libtorch.
// All matrices are float32 and row-major. One thread at a time calls in (the engine's); the pool's
// workers stay inside a call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace chorale {

constexpr int TILE = 16;   // output rows of a weight that are computed together
constexpr int BLOCK = 32;  // inputs that share a scale in Q4 and Q8
constexpr int NF4_BLOCK = 64;
constexpr int ROWS = 64;  // rows of a step whose tile is held before it is finished

enum Path { SCALAR = 0, AVX2 = 1, AVX512 = 2 };

// How a weight is kept; the numbers are NativeWeight.Kind's.
enum Kind { Q4 = 0, Q8 = 1, NF4 = 2, F32 = 3, F16 = 4, BF16 = 5, NF4_I8 = 6, KINDS = 7 };

inline size_t roundUp(size_t n, size_t to) { return (n + to - 1) / to * to; }

// Zeroed, aligned to a cache line; throws std::bad_alloc.
void* allocate(size_t bytes);
void release(void* memory);

template <typename T>
struct Buffer {  // grows, never shrinks, keeps nothing
  T* data = nullptr;
  size_t size = 0;
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(data); }
  T* need(size_t count) {
    if (count > size) {
      release(data);
      data = nullptr;
      size = 0;
      data = static_cast<T*>(allocate((count + count / 4) * sizeof(T)));
      size = count + count / 4;
    }
    return data;
  }
};

// A weight [rows, cols] in tiles of 16 rows, the last one padded with zeros. Per tile:
//   Q4   blocks of 320 bytes: 4 x 64 bytes of codes, 16 half scales, 16 half mins; byte 4 r + i of
//        group g holds row r's inputs 4 g + i (low nibble) and 16 + 4 g + i (high nibble)
//   Q8   blocks of 544 bytes: 8 groups of 64, byte 4 r + i is row r's input 4 g + i; 16 half scales
//   NF4  blocks of 576 bytes: 8 x 16 words, nibble j of word r is row r's input 8 c + j; 16 floats
//   NF4_I8  blocks of 576 bytes: twice Q4's 4 x 64 bytes of codes, 16 floats; multiplied with the
//        codebook rounded to int8
//   F32 F16 BF16  [inputs padded to 16][16 rows]
struct Weight {
  int kind, rows, cols;
  int tiles, blocks;
  size_t tileBytes;
  uint8_t* data;
  Weight(int kind, int rows, int cols);
  ~Weight() { release(data); }
  size_t bytes() const { return tiles * tileBytes; }
  const uint8_t* tile(int t) const { return data + t * tileBytes; }
  bool integer() const { return kind == Q4 || kind == Q8 || kind == NF4_I8; }
  // GGUF's own bytes of rows from .. from+count-1: Q4_0 (2), Q4_1 (3) or Q8_0 (8) as in ggml.h.
  void packGgml(int type, int from, int count, const uint8_t* bytes);
  void packNf4(int from, int count, const uint8_t* codes, const float* absmax);
  void packFloats(int from, int count, const float* values);
  void dequantizeRow(int row, float* out) const;
};

// Inputs of one linear, prepared once: int8 in blocks of 32, each with its own scale.
struct Activations {
  const float* x;  // [rows, stride], stride a multiple of 16, the rest zero
  size_t stride;
  int blocks;
  const int8_t* q;      // [rows, blocks * 32]
  const float* d;       // [rows, blocks] scale
  const float* ds;      // [rows, blocks] scale * sum of q
  const int32_t* sums;  // [rows, blocks] sum of q
};

// One slot's factors of one module, halves scaled by powers of two so that small ones keep digits.
struct LoraEntry {
  int rank = 0, in = 0, out = 0;
  float scale = 1;          // scaling over those powers
  uint16_t* a = nullptr;    // [rank / 4][in padded / 16][4][16], the last ranks % 4 one by one
  uint16_t* b = nullptr;    // [out / 16, rank, 16]
  float* bias = nullptr;    // [out padded], scaling multiplied in
  float* rowScale = nullptr;  // [out padded]
  Weight* replacement = nullptr;
  size_t bytes = 0;
  bool packed = false;  // the factors belong to the set
  ~LoraEntry();
  size_t aIndex(int r, int i) const {
    size_t padded = roundUp(in, 16);
    if (r >= rank / 4 * 4) return r * padded + i;
    return r / 4 * 4 * padded + size_t(i / 16) * 64 + r % 4 * 16 + i % 16;
  }
};

// One adapter: an entry for each module that it changes, else null. Immutable once packed.
struct LoraSet {
  std::vector<std::unique_ptr<LoraEntry>> entries;
  size_t bytes = 0;
  void* memory = nullptr;  // of all factors
  explicit LoraSet(int modules) : entries(modules) {}
  ~LoraSet();
  void pack();  // moves the factors, which were allocated one by one, to one piece of memory
};

struct LoraTable {  // which adapter sits in which slot; owns none of them
  int modules;
  std::vector<const LoraSet*> seated;
  LoraTable(int slots, int modules) : modules(modules), seated(slots) {}
  const LoraEntry* entry(int slot, int module) const {
    return slot < 0 || seated[slot] == nullptr ? nullptr : seated[slot]->entries[module].get();
  }
};

struct LoraSource {  // host factors; biasB and magnitude may be null
  int rank;
  float scaling;
  const float *a, *b, *biasB, *magnitude;
};

struct KvShape {
  int layers, kvSlots, heads, kvHeads, headDim, window;
  bool q8;  // int8 with one half-precision scale per position and head, else halves
};

struct KvPages : KvShape {
  int width;         // headDim padded to 16
  size_t pairBytes;  // of 16 slots' keys and values of one head
  // [kvSlot / 16][layer][kvHead] pairs of keys [headDim][16] and values [16][width], with q8 then
  // 16 scales of the keys and 16 of the values: memory is touched as slots are used, not once per
  // layer and head, so that huge pages cost nothing.
  uint8_t* pairs;
  explicit KvPages(const KvShape& shape);
  ~KvPages();
  uint8_t* pair(int layer, int kvHead, size_t slot) const {
    return pairs + ((slot / 16 * layers + layer) * kvHeads + kvHead) * pairBytes;
  }
  size_t bytes() const { return pairBytes * layers * kvHeads * (roundUp(kvSlots, 16) / 16); }
  size_t elementBytes() const { return q8 ? 1 : 2; }
  size_t valuesAt() const { return 16 * headDim * elementBytes(); }  // in a pair
  size_t scalesAt() const { return valuesAt() + 16 * width * elementBytes(); }
  // One position's key and value of a layer and head, [headDim] each.
  void put(int layer, int kvHead, size_t slot, const float* key, const float* value);
};

struct Ahead {  // bytes of factors to prefetch during each tile, `stride` apart from tile to tile
  const char* from;
  size_t stride, bytes;
};

struct TileArgs {
  const Weight* weight;
  int tile;
  const Activations* in;
  const int* rows;  // [n]
  int n;
  float* out;  // [n, 16]
  // What later calls read: prefetched piecemeal during the product, which leaves memory idle.
  const Ahead* ahead;
  int aheads, aheadsPerBlock;
};

struct FinishArgs {  // what follows the base's product, for one tile and n rows
  const float* base;  // [n, 16]
  const int* rows;
  int n, tile, cols;
  const LoraEntry* const* entries;  // [rows of the step]
  const float* shrunk;              // [rows, shrunkStride]
  size_t shrunkStride;
  const float* bias;  // [cols] or null
  bool accumulate;
  float* out;  // [rows, cols]
};

struct AttendArgs {  // one sequence's rows first .. first+n-1 over one key/value head
  const KvPages* pages;
  int layer, kvHead;
  const int* table;
  int blockTokens;
  const int* positions;
  int first, n;
  const float* q;
  float* out;
  float* scratch;  // [64 * (width + headDim) + n * heads per kvHead * (width + 2)]
};

// What each instruction set implements, all with one order of operations per output.
struct Kernels {
  void (*quantize)(const float* x, int cols, int8_t* q, float* d, float* ds, int32_t* sums);
  void (*tile[KINDS])(const TileArgs&);
  void (*finish)(const FinishArgs&);
  void (*shrink)(const LoraEntry&, const float* x, size_t stride, const int* rows, int n, float* out,
                 size_t outStride);
  void (*rmsNorm)(const float* x, const float* weight, int cols, float eps, float* out);
  void (*siluMul)(float* gate, const float* up, size_t n);
  void (*attend)(const AttendArgs&);
};

extern const Kernels scalarKernels;
#if defined(__x86_64__)
extern const Kernels avx2Kernels;
extern const Kernels avx512Kernels;
#endif
int bestPath();                  // of this machine
const Kernels* kernelsOf(int path);  // null if the machine cannot run it

float halfToFloat(uint16_t half);
uint16_t floatToHalf(float value);  // nearest even

}  // namespace chorale
