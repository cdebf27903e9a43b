// One linear: prepare the rows, then tiles of outputs in chunks, each finished while it is in cache.
#include <algorithm>
#include <cstring>

#include "step.h"

namespace chorale {

namespace {

struct Call {
  const RowGroups& groups;
  Context& context;
  const Weight& weight;
  const float* bias;
  int module;
  bool accumulate;
  float* out;
  Activations in;
  int rank = 0;               // largest
  bool replaced = false, adapted = false;
  bool integer = false;       // some weight wants int8 inputs
};

void lookUp(Call& call) {
  auto& entries = call.context.entries;
  entries.assign(call.groups.size(), nullptr);
  call.integer = call.weight.integer();
  for (const auto& segment : call.groups.segments) {
    const LoraEntry* e = call.groups.step->table->entry(segment.slot, call.module);
    if (e == nullptr) continue;
    call.adapted = true;
    call.rank = std::max(call.rank, e->rank);
    if (e->replacement != nullptr) {
      call.replaced = true;
      call.integer = call.integer || e->replacement->integer();
    }
    for (int i = 0; i < segment.count; i++) entries[call.groups.order[segment.from + i]] = e;
  }
}

// Rows in a stride of whole vectors, their int8 form, and the shrunk rows of those with an adapter.
void prepare(Call& call, const float* x) {
  Context& c = call.context;
  const int cols = call.weight.cols, n = call.groups.size();
  const size_t stride = roundUp(cols, 16);
  const int blocks = cols / BLOCK;
  const bool pad = stride != size_t(cols);
  float* padded = pad ? c.padded.need(n * stride) : nullptr;
  int8_t* q = call.integer ? c.codes.need(size_t(n) * cols) : nullptr;
  float* d = call.integer ? c.scales.need(size_t(n) * blocks) : nullptr;
  float* ds = call.integer ? c.shifts.need(size_t(n) * blocks) : nullptr;
  int32_t* sums = call.integer ? c.sums.need(size_t(n) * blocks) : nullptr;
  float* shrunk = call.rank > 0 ? c.shrunk.need(size_t(n) * call.rank) : nullptr;
  call.in = {pad ? padded : x, stride, blocks, q, d, ds, sums};
  auto rows = [&](const int* order, int count) {
    for (int i = 0; i < count; i++) {
      size_t row = order[i];
      if (pad) {
        memcpy(padded + row * stride, x + row * cols, cols * sizeof(float));
        memset(padded + row * stride + cols, 0, (stride - cols) * sizeof(float));
      }
      if (call.integer) {
        size_t at = row * blocks;
        c.kernels->quantize(x + row * cols, cols, q + row * cols, d + at, ds + at, sums + at);
      }
    }
    const LoraEntry* e = c.entries[order[0]];
    if (e != nullptr && e->rank > 0) {
      c.kernels->shrink(*e, call.in.x, stride, order, count, shrunk, call.rank);
    }
  };
  // Chunks of rows of one adapter; a few rows are quicker done here than handed out.
  constexpr int MOST = 4;
  std::vector<RowSegment>& chunks = c.chunks;
  chunks.clear();
  for (const auto& s : call.groups.segments) {
    for (int i = 0; i < s.count; i += MOST) {
      chunks.push_back({s.slot, s.from + i, std::min(MOST, s.count - i)});
    }
  }
  auto body = [&](int i) { rows(call.groups.order.data() + chunks[i].from, chunks[i].count); };
  size_t work = size_t(n) * cols * (1 + call.rank);
  if (work < 40000) {
    for (int i = 0; i < int(chunks.size()); i++) body(i);
  } else {
    c.pool.run(int(chunks.size()), body);
  }
}

// What to prefetch during a tile: the b factors of the next one, and a share of the a factors of the
// linear that will follow, if it is the one that followed last time.
void lookAhead(Call& call) {
  Context& c = call.context;
  const LoraTable& table = *call.groups.step->table;
  c.ahead.clear();
  if (c.successor.size() < size_t(table.modules)) c.successor.assign(table.modules, -1);
  if (call.module >= 0 && call.module < table.modules) {
    if (c.lastModule >= 0 && c.lastModule < table.modules) c.successor[c.lastModule] = call.module;
    c.lastModule = call.module;
  }
  if (call.rank == 0) return;
  int next = c.successor[call.module];
  auto add = [&](const void* from, size_t stride, size_t bytes) {
    c.ahead.push_back({static_cast<const char*>(from), stride, bytes});
  };
  for (const auto& s : call.groups.segments) {
    const LoraEntry* e = table.entry(s.slot, call.module);
    if (e != nullptr && e->rank > 0) {
      size_t bytes = size_t(e->rank) * TILE * 2, half = roundUp(bytes / 2, 64);
      const char* b = reinterpret_cast<const char*>(e->b) + bytes;
      add(b, bytes, half);
      if (half < bytes) add(b + half, bytes, bytes - half);
    }
    const LoraEntry* later = next < 0 ? nullptr : table.entry(s.slot, next);
    if (later != nullptr && later->rank > 0) {
      size_t share = roundUp(roundUp(later->in, 16) * later->rank * 2 / call.weight.tiles, 64);
      add(later->a, share, share);
    }
  }
}

void tileOfRows(const Call& call, int tile, const Weight& weight, const int* rows, int n) {
  alignas(64) float base[ROWS * TILE];
  const auto& ahead = call.context.ahead;
  const int perBlock = weight.blocks == 0 ? 0 : int(ahead.size() + weight.blocks - 1) / weight.blocks;
  for (int done = 0; done < n; done += ROWS) {
    int count = std::min(ROWS, n - done);
    TileArgs t{&weight,      tile,         &call.in, rows + done, count, base, ahead.data(),
               int(ahead.size()), perBlock};
    call.context.kernels->tile[weight.kind](t);
    FinishArgs f{base,
                 rows + done,
                 count,
                 tile,
                 call.weight.rows,
                 call.adapted ? call.context.entries.data() : nullptr,
                 call.context.shrunk.data,
                 size_t(call.rank),
                 call.bias,
                 call.accumulate,
                 call.out};
    call.context.kernels->finish(f);
  }
}

void tiles(const Call& call, int from, int to) {
  const auto& order = call.groups.order;
  for (int tile = from; tile < to; tile++) {
    if (!call.replaced) {
      tileOfRows(call, tile, call.weight, order.data(), int(order.size()));
      continue;
    }
    for (const auto& s : call.groups.segments) {
      const LoraEntry* e = call.groups.step->table->entry(s.slot, call.module);
      const Weight& weight = e != nullptr && e->replacement != nullptr ? *e->replacement : call.weight;
      tileOfRows(call, tile, weight, order.data() + s.from, s.count);
    }
  }
}

}  // namespace

void linear(const RowGroups& groups, const float* x, const Weight& weight, const float* bias, int module,
            bool accumulate, float* out) {
  if (groups.size() == 0) return;
  Context& context = *groups.step->context;
  Call call{groups, context, weight, bias, module, accumulate, out, {}};
  lookUp(call);
  lookAhead(call);
  prepare(call, x);
  // Chunks of some ten microseconds: long enough to hide the claim, short enough to share evenly.
  size_t tileWork = weight.tileBytes + size_t(weight.cols) * TILE / 16 * groups.size();
  int perChunk = int(std::max<size_t>(1, 65536 / tileWork));
  perChunk = std::min(perChunk, std::max(1, weight.tiles / (2 * context.pool.threads())));
  context.pool.run((weight.tiles + perChunk - 1) / perChunk, [&](int chunk) {
    tiles(call, chunk * perChunk, std::min(weight.tiles, (chunk + 1) * perChunk));
  });
}

void embed(const Step& step, const Weight& table, int module, float* out) {
  const int hidden = table.cols;
  step.context->pool.run(step.rows(), [&](int row) {
    const LoraEntry* e = step.table->entry(step.slots[row], module);
    float* to = out + size_t(row) * hidden;
    int id = step.tokenIds[row];
    if (e != nullptr && e->replacement != nullptr) {
      e->replacement->dequantizeRow(id, to);
      return;
    }
    table.dequantizeRow(id, to);
    for (int r = 0; e != nullptr && r < e->rank; r++) {
      float share = e->scale * halfToFloat(e->a[e->aIndex(r, id)]);
      for (int i = 0; i < hidden; i++) {
        const uint16_t* b = e->b + (size_t(i / TILE) * e->rank + r) * TILE + i % TILE;
        to[i] += share * halfToFloat(*b);
      }
    }
    for (int i = 0; e != nullptr && e->rowScale != nullptr && i < hidden; i++) {
      to[i] *= e->rowScale[i];
    }
  });
}

}  // namespace chorale
