// Each kernel against what the machine can do, measured in the same run; JSON on standard output.
//   micro <avx2|avx512|scalar> <threads> <passes>
// Weights and factors rotate through more memory than any cache holds. A time is the fastest tenth
// of all calls of a case; cases of a group take turns, so that a busy neighbour meets all alike.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>

#include "fixture.h"
#include "limits.h"

using namespace chorale;

namespace {

constexpr size_t ROTATION = size_t(160) << 20;
constexpr int ADAPTERS = 8, RANK = 16;

struct Case {
  std::string name;
  double operations, bytes;             // of one call, base only
  std::function<void(int)> call;        // with the i-th weight
  std::vector<double> took;
};

// Runs the cases in turn over all copies, several passes.
void measure(std::vector<Case>& cases, int copies, int passes) {
  for (int pass = 0; pass <= passes; pass++) {
    for (auto& c : cases) {
      for (int i = 0; i < copies; i++) {
        double start = now();
        c.call(i);
        if (pass > 0) c.took.push_back(now() - start);
      }
    }
  }
}

double fastTenth(std::vector<double> took) {
  std::sort(took.begin(), took.end());
  return took[took.size() / 10];
}

bool first = true;

void report(const std::vector<Case>& cases) {
  double base = 0;
  for (const auto& c : cases) {
    double t = fastTenth(c.took);
    std::vector<double> sorted = c.took;
    std::sort(sorted.begin(), sorted.end());
    if (base == 0) base = t;
    printf("%s\n    {\"case\": \"%s\", \"us\": %.2f, \"median_us\": %.2f, \"gb_per_s\": %.1f, \"gop_per_s\": %.1f, \"over_first\": %.3f}",
           first ? "" : ",", c.name.c_str(), t * 1e6, sorted[sorted.size() / 2] * 1e6, c.bytes / t / 1e9,
           c.operations / t / 1e9, t / base);
    first = false;
  }
  fflush(stdout);
}

struct Linears {  // one shape in one format, with eight adapters for each copy
  int in, out, copies;
  std::vector<std::unique_ptr<Weight>> weights;
  FilledTable table;
  Floats x, y;

  static int copiesOf(int kind, int in, int out) {
    return int(ROTATION / Weight(kind, out, in).bytes()) + 1;
  }
  Linears(int kind, int in, int out, bool adapters)
      : in(in), out(out), copies(copiesOf(kind, in, out)), table(ADAPTERS, copies),
        x(Random(5).floats(size_t(64) * in, 1)), y(size_t(64) * out) {
    Random random(7);
    auto original = randomWeight(random, kind, out, in);
    auto factors = random.floats(size_t(RANK) * (in + out), 0.02f);
    for (int i = 0; i < copies; i++) {
      weights.push_back(std::make_unique<Weight>(kind, out, in));
      memcpy(weights[i]->data, original->data, original->bytes());
      for (int s = 0; adapters && s < ADAPTERS; s++) {
        table.put(s, i, loraEntry(*original, false,
                                  {RANK, 1, factors.data(), factors.data() + size_t(RANK) * in, nullptr, nullptr}));
      }
    }
  }
};

std::vector<Sequence> decodeRows(int rows, int position, int blocks, bool adapters) {
  std::vector<Sequence> all;
  for (int i = 0; i < rows; i++) {
    std::vector<int> own(blocks);
    for (int b = 0; b < blocks; b++) own[b] = i * blocks + b;
    all.push_back({position, 1, adapters ? i % ADAPTERS : -1, own});
  }
  return all;
}

void linears(Context& context, const char* label, int kind, int in, int out, bool adapters, int passes,
             const std::vector<int>& counts) {
  Linears l(kind, in, out, adapters);
  for (int rows : counts) {
    std::vector<Case> cases;
    std::vector<std::unique_ptr<Step>> steps;
    for (bool lora : {false, true}) {
      if (lora && !adapters) continue;
      steps.push_back(stepOf(context, l.table, decodeRows(rows, 0, 1, lora), 16, 4));
      RowGroups* groups = steps.back()->all.get();
      std::string name = std::string(label) + " " + std::to_string(in) + "->" + std::to_string(out) + ", " +
                         std::to_string(rows) + " rows" + (lora ? ", 8 adapters" : "");
      cases.push_back({name, 2.0 * rows * in * out, double(l.weights[0]->bytes()),
                       [groups, &l](int i) { linear(*groups, l.x.data, *l.weights[i], nullptr, i, false, l.y.data); },
                       {}});
    }
    measure(cases, l.copies, rows > 8 ? std::max(1, passes / 2) : passes);
    report(cases);
  }
}

void attention(Context& context, bool q8, int rows, int position, int passes) {
  constexpr int LAYERS = 30, BLOCK_TOKENS = 16;
  int blocks = position / BLOCK_TOKENS + 1;
  KvShape shape{LAYERS, rows * blocks * BLOCK_TOKENS, 9, 3, 64, 0, q8};
  KvPages pages(shape);
  Random random(11);
  auto key = random.floats(64, 1);
  for (int layer = 0; layer < LAYERS; layer++) {
    for (int head = 0; head < 3; head++) {
      for (int slot = 0; slot < shape.kvSlots; slot++) pages.put(layer, head, slot, key.data(), key.data());
    }
  }
  LoraTable table(1, 1);
  auto step = stepOf(context, table, decodeRows(rows, position, blocks, false), BLOCK_TOKENS, 32);
  Floats q(random.floats(size_t(rows) * 576, 1)), k(random.floats(size_t(rows) * 192, 1)), out(size_t(rows) * 576);
  std::string tail = std::string(q8 ? " q8, " : " f16, ") + std::to_string(rows) + " rows at " + std::to_string(position);
  std::vector<Case> cases;
  cases.push_back({"attention" + tail, 4.0 * 9 * 64 * rows * (position + 1), double(pages.bytes()) / LAYERS,
                   [&](int layer) { pagedAttention(*step, q.data, pages, layer, out.data); }, {}});
  measure(cases, LAYERS, passes * 6);
  report(cases);
  std::vector<Case> stores;
  stores.push_back({"rope and store" + tail, 0, 0,
                    [&](int layer) { ropeAndStoreKv(*step, q.data, k.data, k.data, pages, layer); }, {}});
  measure(stores, LAYERS, passes * 6);
  report(stores);
}

void rowwise(Context& context, int rows, int passes) {
  Random random(13);
  Floats x(random.floats(size_t(rows) * 1536, 1)), w(random.floats(1536, 1)), y(size_t(rows) * 1536);
  std::string tail = ", " + std::to_string(rows) + " rows";
  std::vector<Case> norm, silu;
  norm.push_back({"rms norm 576" + tail, 0, 8.0 * rows * 576,
                  [&](int) { rmsNorm(context, x.data, rows, 576, w.data, 1e-5f, y.data); }, {}});
  silu.push_back({"silu * up 1536" + tail, 0, 12.0 * rows * 1536,
                  [&](int) { siluMul(context, y.data, x.data, size_t(rows) * 1536); }, {}});
  measure(norm, 100, passes);
  measure(silu, 100, passes);
  report(norm);
  report(silu);
}

}  // namespace

int main(int count, char** words) {
  std::map<std::string, int> paths{{"scalar", SCALAR}, {"avx2", AVX2}, {"avx512", AVX512}};
  if (count != 4 || !paths.count(words[1]) || kernelsOf(paths[words[1]]) == nullptr) {
    fprintf(stderr, "micro <scalar|avx2|avx512, as this machine has> <threads> <passes>\n");
    return 2;
  }
  int path = paths[words[1]], threads = atoi(words[2]), passes = atoi(words[3]);
  const char* only = getenv("CHORALE_MICRO_ONLY");  // a group's name, while trying something
  auto wanted = [&](const char* group) { return only == nullptr || strcmp(only, group) == 0; };
  Context context(kernelsOf(path), threads);
  printf("{\n  \"path\": \"%s\", \"threads\": %d, \"passes\": %d,\n", words[1], threads, passes);
  printf("  \"limits\": {\"read_gb_per_s\": %.1f, \"int8_gop_per_s_a_thread\": %.1f, \"float_gop_per_s_a_thread\": %.1f},\n",
         memoryRate(threads) / 1e9, int8Peak(path) / 1e9, floatPeak(path) / 1e9);
  printf("  \"cases\": [");
  if (wanted("q4")) linears(context, "Q4", Q4, 576, 1536, true, passes, {1, 8, 32});
  if (wanted("narrow")) linears(context, "Q4", Q4, 576, 192, true, passes, {1, 8, 32});
  if (wanted("down")) linears(context, "Q4", Q4, 1536, 576, true, passes, {1, 8, 32});
  if (wanted("nf4")) linears(context, "NF4 exact", NF4, 576, 1536, false, passes, {1, 8, 32});
  if (wanted("nf4")) linears(context, "NF4 fast", NF4_I8, 576, 1536, false, passes, {1, 8, 32});
  if (wanted("q8")) linears(context, "Q8", Q8, 576, 1536, false, passes, {1, 8, 32});
  if (wanted("q8")) linears(context, "Q8 head", Q8, 576, 49152, false, passes, {1, 16});
  if (wanted("f16")) linears(context, "F16", F16, 576, 1536, false, passes, {1, 32});
  for (bool q8 : {false, true}) {
    if (!wanted("attention")) break;
    attention(context, q8, 1, 1000, passes);
    attention(context, q8, 16, 500, passes);
  }
  if (wanted("rows")) rowwise(context, 1, passes);
  if (wanted("rows")) rowwise(context, 32, passes);
  printf("\n  ]\n}\n");
  return 0;
}
