// Every kernel over awkward sizes on every path and with one to three threads, for a build with
// sanitizers: check.sh. Values are OpsContract's business; here rows must have the same bits alone
// and in a batch, and nothing may be read or written out of bounds, overflow, or race.
#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "fixture.h"
#include "train.h"

using namespace chorale;

namespace {

int checks = 0;

void expect(bool holds, const char* what, int path, int kind, int detail) {
  checks++;
  if (holds) return;
  fprintf(stderr, "FAILED: %s (path %d, kind %d, %d)\n", what, path, kind, detail);
  exit(1);
}

constexpr int SLOTS = 6;

// One adapter of every sort: odd ranks, a bias, DoRA, a replacement.
void fill(FilledTable& table, Random& random, const Weight& base, bool embedding) {
  int ranks[] = {1, 7, 16, 4, 18};
  for (int slot = 0; slot < 5; slot++) {
    table.put(slot, 0, randomEntry(random, base, embedding, ranks[slot], slot == 3, slot >= 3));
  }
  auto whole = std::make_unique<LoraEntry>();
  whole->replacement = randomWeight(random, F32, base.rows, base.cols).release();
  table.put(5, 0, std::move(whole));
}

std::vector<Sequence> singles(int first, int rows) {
  std::vector<Sequence> all;
  for (int i = first; i < first + rows; i++) all.push_back({0, 1, i % (SLOTS + 1) - 1, {0}});
  return all;
}

std::vector<float> multiply(Context& context, const LoraTable& table, const Weight& weight,
                            const std::vector<float>& x, const float* bias, int first, int rows) {
  auto step = stepOf(context, table, singles(first, rows), 1, 4);
  Floats in(std::vector<float>(x.begin() + size_t(first) * weight.cols,
                               x.begin() + size_t(first + rows) * weight.cols));
  Floats out(std::vector<float>(size_t(rows) * weight.rows, 0.25f));
  linear(*step->all, in.data, weight, bias, 0, true, out.data);
  return std::vector<float>(out.data, out.data + out.size);
}

void linears(int path) {
  constexpr int ROWS_IN_ALL = 71;  // more than are held in one tile
  Random random(1);
  int shapes[][2] = {{1, 64}, {35, 96}, {16, 33}, {67, 320}};
  for (int kind = 0; kind < KINDS; kind++) {
    for (auto& shape : shapes) {
      int cols = inputsOf(kind, shape[1]);
      auto weight = randomWeight(random, kind, shape[0], cols);
      Floats bias(random.floats(shape[0], 1));
      FilledTable table(SLOTS, 1);
      fill(table, random, *weight, false);
      auto x = random.floats(size_t(ROWS_IN_ALL) * cols, 1);
      Context one(kernelsOf(path), 1);
      auto want = multiply(one, table, *weight, x, bias.data, 0, ROWS_IN_ALL);
      for (int threads = 1; threads <= 3; threads++) {
        Context context(kernelsOf(path), threads);
        for (int rows : {1, 2, 5, 13, ROWS_IN_ALL}) {
          for (int first = 0; first + rows <= ROWS_IN_ALL; first += rows == 1 ? 9 : rows) {
            auto got = multiply(context, table, *weight, x, bias.data, first, rows);
            bool same = memcmp(got.data(), &want[size_t(first) * shape[0]], got.size() * 4) == 0;
            expect(same, "a row's product depends on its batch", path, kind, rows);
          }
        }
      }
    }
  }
}

void embeddings(int path) {
  Random random(2);
  for (int kind = 0; kind < KINDS; kind++) {
    auto weight = randomWeight(random, kind, 9, inputsOf(kind, 40));
    FilledTable table(SLOTS, 1);
    fill(table, random, *weight, true);
    Context context(kernelsOf(path), 2);
    auto step = stepOf(context, table, singles(0, 23), 1, 4);
    Floats out(size_t(23) * weight->cols);
    embed(*step, *weight, 0, out.data);
    expect(out.data[0] == out.data[0], "an embedding is no number", path, kind, 0);
  }
}

// A prompt of 83 positions in uneven steps beside another sequence; returns all outputs by position.
std::vector<float> attention(int path, int threads, const KvShape& shape, int blockTokens,
                             const std::vector<int>& chunks) {
  constexpr int LENGTH = 83;
  Random random(3);
  const int dim = shape.headDim, wide = shape.heads * dim, narrow = shape.kvHeads * dim;
  auto q = random.floats(size_t(LENGTH) * wide, 1), k = random.floats(size_t(LENGTH) * narrow, 1);
  auto v = random.floats(size_t(LENGTH) * narrow, 1);
  Context context(kernelsOf(path), threads);
  LoraTable table(1, 1);
  KvPages pages(shape);
  int needed = (LENGTH + blockTokens - 1) / blockTokens;
  std::vector<int> blocks(needed);
  for (int i = 0; i < needed; i++) blocks[i] = needed - i;  // block 0 is the neighbour's
  std::vector<float> all(size_t(LENGTH) * wide);
  int start = 0;
  for (int count : chunks) {
    auto step = stepOf(context, table, {{0, 1, -1, {0}}, {start, count, -1, blocks}}, blockTokens, dim / 2);
    auto rows = [&](const std::vector<float>& from, int width) {
      std::vector<float> out(size_t(count + 1) * width, 0.5f);
      memcpy(out.data() + width, &from[size_t(start) * width], size_t(count) * width * 4);
      return out;
    };
    Floats qs(rows(q, wide)), ks(rows(k, narrow)), vs(rows(v, narrow)), out(size_t(count + 1) * wide);
    ropeAndStoreKv(*step, qs.data, ks.data, vs.data, pages, 1);
    pagedAttention(*step, qs.data, pages, 1, out.data);
    memcpy(&all[size_t(start) * wide], out.data + wide, size_t(count) * wide * 4);
    start += count;
  }
  return all;
}

void attentions(int path) {
  for (bool q8 : {false, true}) {
    for (int dim : {8, 24, 64}) {
      for (int window : {0, 19}) {
        for (int blockTokens : {1, 4, 16, 48}) {
          KvShape shape{2, (83 / blockTokens + 3) * blockTokens, 6, 2, dim, window, q8};
          auto want = attention(path, 1, shape, blockTokens, {83});
          auto got = attention(path, 3, shape, blockTokens, {1, 30, 17, 1, 1, 33});
          bool same = memcmp(want.data(), got.data(), want.size() * 4) == 0;
          expect(same, "attention depends on how a prompt was cut", path, dim, blockTokens);
        }
      }
    }
  }
}

void elementwise(int path) {
  Random random(4);
  Context context(kernelsOf(path), 3);
  for (int cols : {1, 15, 16, 67, 576}) {
    for (int rows : {1, 3, 40}) {
      Floats x(random.floats(size_t(rows) * cols, 30)), weight(random.floats(cols, 1)), out(x.size);
      rmsNorm(context, x.data, rows, cols, weight.data, 1e-5f, out.data);
      siluMul(context, x.data, out.data, x.size);
      expect(x.data[0] == x.data[0], "silu is no number", path, cols, rows);
    }
  }
}

std::vector<uint8_t> ones(size_t n, bool bf16) {
  const uint32_t bits = bf16 ? 0x3f80 : 0x3f800000;
  std::vector<uint8_t> bytes(n * (bf16 ? 2 : 4));
  for (size_t i = 0; i < n; i++) memcpy(bytes.data() + i * bytes.size() / n, &bits, bytes.size() / n);
  return bytes;
}

// The trainer's kernels on memory exactly as large as they say.
void training(int path) {
  const TrainKernels& k = *trainKernelsOf(path);
  for (bool bf16 : {false, true}) {
    for (int n : {1, 15, 16, 67, 576, 4099}) {
      auto x = ones(n, bf16), y = ones(n, bf16), z = ones(n, bf16);
      std::vector<float> weight(n, 1), scratch(n + 16);
      k.rmsNorm[bf16](x.data(), weight.data(), n, 1e-5f, y.data());
      k.rmsNormBackward[bf16](x.data(), y.data(), weight.data(), n, 1e-5f, z.data());
      k.silu[bf16](x.data(), y.data(), n, z.data());
      k.siluBackward[bf16](z.data(), x.data(), y.data(), n);
      k.dropout[bf16](x.data(), 3, 0, n, 40000, y.data());
      k.dropoutAdd[bf16](x.data(), 3, 0, n, 40000, y.data());
      std::vector<float> dots(n);
      k.columnDots[bf16](x.data(), y.data(), 1, n, n, dots.data());
      expect(dots[n - 1] == dots[n - 1], "a column's sum is no number", path, bf16, n);
      double loss = k.loss[bf16](x.data(), n, n - 1, 1, scratch.data());
      expect(loss == loss, "the loss is no number", path, bf16, n);
      auto heads = ones(size_t(4) * n, bf16);
      k.rotate[bf16](heads.data(), y.data(), z.data(), 4 * n, n, -1);
    }
    for (int cols : {32, 96, 576}) {
      std::vector<uint8_t> codes(cols / 2, 0x5a), blocks(cols / 32 * 34, 1);
      std::vector<uint16_t> scales(cols / 32, 0x2c00);
      std::vector<float> scratch(2 * cols / 32 + 64);
      auto out = ones(cols, bf16), block = ones(64, bf16);
      k.unpackQ4[bf16](codes.data(), scales.data(), scales.data(), cols, scratch.data(), out.data());
      k.unpackQ4[bf16](codes.data(), scales.data(), nullptr, cols, scratch.data(), out.data());
      k.unpackQ8[bf16](blocks.data(), cols, out.data());
      if (cols >= 64) k.unpackNf4[bf16](codes.data(), 0.5f, block.data());
    }
    const std::vector<int> starts{0, 1, 24, 49, 130};
    for (int dim : {16, 40, 64}) {
      for (int window : {0, 7}) {
        const size_t q = size_t(130) * 4 * dim, kv = size_t(130) * 2 * dim;
        auto queries = ones(q, bf16), keys = ones(kv, bf16), values = ones(kv, bf16), out = ones(q, bf16);
        auto dq = ones(q, bf16), dk = ones(kv, bf16), dv = ones(kv, bf16);
        std::vector<float> sums(130 * 4);
        SequenceArgs args{queries.data(), keys.data(), values.data(), out.data(), sums.data(), queries.data(),
                          dq.data(), dk.data(), dv.data(), starts.data(), 4, 2, dim, window};
        for (int task = 0; task < 8; task++) {
          const int length = starts[task / 2 + 1] - starts[task / 2];
          std::vector<float> forward(k.attendScratch(length, dim, false)), backward(k.attendScratch(length, dim, true));
          k.attend[bf16](args, task / 2, task % 2, forward.data());
          k.attendBackward[bf16](args, task / 2, task % 2, backward.data());
        }
        expect(sums[3] == sums[3], "a softmax sums to no number", path, bf16, dim);
      }
    }
  }
}

// Jobs of every size back to back and after pauses long enough to fall asleep.
void pool() {
  for (int threads = 1; threads <= 4; threads++) {
    Pool pool(threads);
    std::vector<int> plain(300);
    std::atomic<long> sum{0};
    for (int job = 0; job < 3000; job++) {
      int chunks = job % 300;
      pool.run(chunks, [&](int c) {
        plain[c]++;  // a race if two threads get one chunk, or a job overlaps the next
        sum.fetch_add(c, std::memory_order_relaxed);
      });
      if (job % 500 == 499) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    long total = 0;
    for (int count : plain) total += count;
    expect(total == 10L * 299 * 300 / 2, "chunks were lost or done twice", threads, -1, int(total));
  }
}

}  // namespace

int main() {
  pool();
  for (int path = SCALAR; path <= bestPath(); path++) {
    linears(path);
    embeddings(path);
    attentions(path);
    elementwise(path);
    training(path);
  }
  printf("%d checks on %d paths\n", checks, bestPath() + 1);
  return 0;
}
