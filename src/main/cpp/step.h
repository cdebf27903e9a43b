// One engine's state and one step's rows.
#pragma once

#include <memory>
#include <vector>

#include "chorale.h"
#include "pool.h"

namespace chorale {

struct RowSegment {  // order[from .. from+count-1], all of one slot
  int slot, from, count;
};

// Scratch is shared by all operations of an engine: one call at a time.
struct Context {
  const Kernels* kernels;
  Pool pool;
  Buffer<float> padded, scales, shifts, shrunk, attention;
  Buffer<int32_t> sums;
  Buffer<int8_t> codes;
  std::vector<const LoraEntry*> entries;
  std::vector<size_t> kvSlots;
  std::vector<RowSegment> chunks;
  std::vector<Ahead> ahead;
  std::vector<int> successor;  // of each module: the one whose linear followed last time
  int lastModule = -1;
  Context(const Kernels* kernels, int threads) : kernels(kernels), pool(threads) {}
};

struct Step;

// Rows of a matrix by adapter.
struct RowGroups {
  Step* step;
  std::vector<int> order;  // rows by slot; within a slot ascending
  std::vector<RowSegment> segments;
  RowGroups(Step* step, const int* slots, int n);
  int size() const { return int(order.size()); }
};

struct Step {
  Context* context;
  const LoraTable* table;
  int blockTokens;
  std::vector<int> tokenIds, positions, slots, firstRow, rowCount, tableStart, blocks, logitRows;
  std::vector<float> cos, sin;  // [rows, half]
  int half;
  std::unique_ptr<RowGroups> all;
  std::vector<std::unique_ptr<RowGroups>> logitGroups;

  // words: rows, sequences, blockTokens, logit rows, then the arrays in the order above.
  Step(Context* context, const LoraTable* table, const int* words, const float* frequencies, int half);
  int rows() const { return int(tokenIds.size()); }
  size_t kvSlot(int sequence, int position) const {
    size_t block = blocks[tableStart[sequence] + position / blockTokens];
    return block * blockTokens + position % blockTokens;
  }
};

void linear(const RowGroups& rows, const float* x, const Weight& weight, const float* bias, int module,
            bool accumulate, float* out);
void embed(const Step& step, const Weight& table, int module, float* out);
void rmsNorm(Context& context, const float* x, int rows, int cols, const float* weight, float eps,
             float* out);
void siluMul(Context& context, float* gate, const float* up, size_t count);
void ropeAndStoreKv(const Step& step, float* q, float* k, const float* v, KvPages& pages, int layer);
void pagedAttention(const Step& step, const float* q, const KvPages& pages, int layer, float* out);
std::unique_ptr<LoraEntry> loraEntry(const Weight& base, bool embedding, const LoraSource& source);

}  // namespace chorale
