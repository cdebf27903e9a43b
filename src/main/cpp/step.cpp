#include "step.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace chorale {

RowGroups::RowGroups(Step* step, const int* slots, int n) : step(step), order(n) {
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return slots[a] < slots[b]; });
  for (int i = 0; i < n; i++) {
    int slot = slots[order[i]];
    if (segments.empty() || segments.back().slot != slot) segments.push_back({slot, i, 0});
    segments.back().count++;
  }
}

Step::Step(Context* context, const LoraTable* table, const int* words, const float* frequencies,
           int half)
    : context(context), table(table), half(half) {
  int rows = words[0], sequences = words[1], logits = words[3];
  blockTokens = words[2];
  words += 4;
  auto take = [&](std::vector<int>& into, int count) {
    into.assign(words, words + count);
    words += count;
  };
  take(tokenIds, rows);
  take(positions, rows);
  take(slots, rows);
  take(firstRow, sequences);
  take(rowCount, sequences);
  take(tableStart, sequences + 1);
  take(blocks, tableStart[sequences]);
  take(logitRows, logits);
  cos.resize(size_t(rows) * half);
  sin.resize(size_t(rows) * half);
  for (int row = 0; row < rows; row++) {
    for (int i = 0; i < half; i++) {
      float angle = float(positions[row]) * frequencies[i];  // rounded first, as transformers does
      cos[size_t(row) * half + i] = float(std::cos(double(angle)));
      sin[size_t(row) * half + i] = float(std::sin(double(angle)));
    }
  }
  all = std::make_unique<RowGroups>(this, slots.data(), rows);
}

void rmsNorm(Context& context, const float* x, int rows, int cols, const float* weight, float eps,
             float* out) {
  int perChunk = std::max(1, 8192 / cols);
  context.pool.run((rows + perChunk - 1) / perChunk, [&](int chunk) {
    for (int row = chunk * perChunk; row < std::min(rows, (chunk + 1) * perChunk); row++) {
      size_t at = size_t(row) * cols;
      context.kernels->rmsNorm(x + at, weight, cols, eps, out + at);
    }
  });
}

void siluMul(Context& context, float* gate, const float* up, size_t count) {
  constexpr size_t CHUNK = 4096;
  context.pool.run(int((count + CHUNK - 1) / CHUNK), [&](int chunk) {
    size_t from = chunk * CHUNK;
    context.kernels->siluMul(gate + from, up + from, std::min(CHUNK, count - from));
  });
}

namespace {

// Half-split pairs: (a, b) becomes (a cos - b sin, b cos + a sin).
void rotate(float* head, const float* cos, const float* sin, int half) {
  for (int i = 0; i < half; i++) {
    float a = head[i], b = head[half + i];
    head[i] = a * cos[i] - b * sin[i];
    head[half + i] = b * cos[i] + a * sin[i];
  }
}

}  // namespace

void ropeAndStoreKv(const Step& step, float* q, float* k, const float* v, KvPages& pages, int layer) {
  const int dim = pages.headDim, heads = pages.heads, kvHeads = pages.kvHeads;
  auto store = [&](int row, size_t slot) {
    const float* cos = step.cos.data() + size_t(row) * step.half;
    const float* sin = step.sin.data() + size_t(row) * step.half;
    for (int h = 0; h < heads; h++) rotate(q + (size_t(row) * heads + h) * dim, cos, sin, dim / 2);
    for (int h = 0; h < kvHeads; h++) {
      float* key = k + (size_t(row) * kvHeads + h) * dim;
      const float* value = v + (size_t(row) * kvHeads + h) * dim;
      rotate(key, cos, sin, dim / 2);
      pages.put(layer, h, slot, key, value);
    }
  };
  std::vector<size_t>& slots = step.context->kvSlots;
  slots.resize(step.rows());
  for (size_t s = 0; s < step.firstRow.size(); s++) {
    for (int i = 0; i < step.rowCount[s]; i++) {
      int row = step.firstRow[s] + i;
      slots[row] = step.kvSlot(int(s), step.positions[row]);
    }
  }
  constexpr int CHUNK = 4;
  step.context->pool.run((step.rows() + CHUNK - 1) / CHUNK, [&](int chunk) {
    for (int row = chunk * CHUNK; row < std::min(step.rows(), (chunk + 1) * CHUNK); row++) {
      store(row, slots[row]);
    }
  });
}

void pagedAttention(const Step& step, const float* q, const KvPages& pages, int layer, float* out) {
  struct Task {
    int sequence, first, count;
  };
  constexpr int MOST = 16;  // rows that share an unpacked span
  std::vector<Task> tasks;
  for (size_t s = 0; s < step.firstRow.size(); s++) {
    for (int i = 0; i < step.rowCount[s]; i += MOST) {
      tasks.push_back({int(s), step.firstRow[s] + i, std::min(MOST, step.rowCount[s] - i)});
    }
  }
  const int group = pages.heads / pages.kvHeads;
  size_t perTask = roundUp(
      size_t(64) * (pages.headDim + pages.width) + size_t(MOST) * group * (pages.width + 2), 16);
  int chunks = int(tasks.size()) * pages.kvHeads;
  Context& context = *step.context;
  float* scratch = context.attention.need(perTask * chunks);
  context.pool.run(chunks, [&](int chunk) {
    const Task& task = tasks[chunk / pages.kvHeads];
    AttendArgs a{&pages,
                 layer,
                 chunk % pages.kvHeads,
                 step.blocks.data() + step.tableStart[task.sequence],
                 step.blockTokens,
                 step.positions.data(),
                 task.first,
                 task.count,
                 q,
                 out,
                 scratch + perTask * chunk};
    context.kernels->attend(a);
  });
}

}  // namespace chorale
