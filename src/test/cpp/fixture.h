// Random weights, adapters and steps for programs that call the kernels without Java.
#pragma once

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "step.h"

namespace chorale {

struct Random {
  std::mt19937 engine;
  explicit Random(unsigned seed) : engine(seed) {}
  float gauss() { return std::normal_distribution<float>()(engine); }
  int below(int n) { return int(engine() % unsigned(n)); }
  std::vector<float> floats(size_t n, float scale) {
    std::vector<float> out(n);
    for (float& value : out) value = scale * gauss();
    return out;
  }
};

// Exactly as large as asked, in Chorale's own memory.
struct Floats {
  float* data;
  size_t size;
  explicit Floats(size_t n) : data(static_cast<float*>(allocate(n * sizeof(float)))), size(n) {}
  explicit Floats(const std::vector<float>& from) : Floats(from.size()) {
    memcpy(data, from.data(), from.size() * sizeof(float));
  }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  ~Floats() { release(data); }
};

inline int inputsOf(int kind, int wanted) {
  return kind == NF4 || kind == NF4_I8 ? int(roundUp(wanted, NF4_BLOCK))
         : kind == Q4 || kind == Q8    ? int(roundUp(wanted, BLOCK))
                                       : wanted;
}

inline std::unique_ptr<Weight> randomWeight(Random& random, int kind, int rows, int cols) {
  auto weight = std::make_unique<Weight>(kind, rows, cols);
  std::vector<uint8_t> bytes;
  auto half = [&](float value) {
    uint16_t h = floatToHalf(value);
    bytes.push_back(uint8_t(h));
    bytes.push_back(uint8_t(h >> 8));
  };
  if (kind == Q4 || kind == Q8) {
    for (int b = 0; b < rows * (cols / BLOCK); b++) {
      half(0.01f + 0.002f * random.gauss());
      if (kind == Q4) half(-0.08f);
      for (int i = 0; i < (kind == Q4 ? 16 : 32); i++) bytes.push_back(uint8_t(random.engine()));
    }
    weight->packGgml(kind == Q4 ? 3 : 8, 0, rows, bytes.data());
  } else if (kind == NF4 || kind == NF4_I8) {
    for (int i = 0; i < rows * cols / 2; i++) bytes.push_back(uint8_t(random.engine()));
    std::vector<float> absmax = random.floats(size_t(rows) * cols / NF4_BLOCK, 0.1f);
    weight->packNf4(0, rows, bytes.data(), absmax.data());
  } else {
    weight->packFloats(0, rows, random.floats(size_t(rows) * cols, 0.05f).data());
  }
  return weight;
}

inline std::unique_ptr<LoraEntry> randomEntry(Random& random, const Weight& base, bool embedding,
                                              int rank, bool bias, bool dora) {
  int in = embedding ? base.rows : base.cols, out = embedding ? base.cols : base.rows;
  auto a = random.floats(size_t(rank) * in, 0.02f), b = random.floats(size_t(rank) * out, 0.02f);
  auto biasB = random.floats(out, 1), magnitude = random.floats(out, 1);
  return loraEntry(base, embedding,
                   {rank, 0.5f, a.data(), b.data(), bias ? biasB.data() : nullptr,
                    dora ? magnitude.data() : nullptr});
}

struct Sequence {
  int firstPosition, rows, slot;
  std::vector<int> blocks;
};

// Rows in the order of the sequences; every row's logits are wanted.
// A table whose adapters are its own.
struct FilledTable : LoraTable {
  std::vector<std::unique_ptr<LoraSet>> sets;
  FilledTable(int slots, int modules) : LoraTable(slots, modules), sets(slots) {}
  void put(int slot, int module, std::unique_ptr<LoraEntry> entry) {
    if (sets[slot] == nullptr) sets[slot] = std::make_unique<LoraSet>(modules);
    sets[slot]->entries[module] = std::move(entry);
    seated[slot] = sets[slot].get();
  }
};

inline std::unique_ptr<Step> stepOf(Context& context, const LoraTable& table,
                                    const std::vector<Sequence>& sequences, int blockTokens, int half) {
  std::vector<int> ids, positions, slots, first, count, starts{0}, blocks, logits;
  for (const auto& s : sequences) {
    first.push_back(int(ids.size()));
    count.push_back(s.rows);
    for (int i = 0; i < s.rows; i++) {
      logits.push_back(int(ids.size()));
      ids.push_back(int(ids.size()) % 7);
      positions.push_back(s.firstPosition + i);
      slots.push_back(s.slot);
    }
    blocks.insert(blocks.end(), s.blocks.begin(), s.blocks.end());
    starts.push_back(int(blocks.size()));
  }
  std::vector<int> words{int(ids.size()), int(sequences.size()), blockTokens, int(logits.size())};
  for (const auto* part : {&ids, &positions, &slots, &first, &count, &starts, &blocks, &logits}) {
    words.insert(words.end(), part->begin(), part->end());
  }
  std::vector<float> frequencies(half);
  for (int i = 0; i < half; i++) frequencies[i] = 1.0f / float(1 + i);
  return std::make_unique<Step>(&context, &table, words.data(), frequencies.data(), half);
}

}  // namespace chorale
