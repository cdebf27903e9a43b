// Worker threads that share numbered chunks of one job at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace chorale {

// The caller works too. Chunks are claimed one by one, so a thread that loses its core delays one
// chunk only. Workers spin for some microseconds after a job, then sleep.
class Pool {
 public:
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return int(workers_.size()) + 1; }

  // Calls body(chunk) for chunk 0 .. chunks-1 in any order on any thread; returns when all are done.
  template <typename Body>
  void run(int chunks, const Body& body) {
    dispatch(chunks, [](const void* b, int c) { (*static_cast<const Body*>(b))(c); }, &body);
  }

 private:
  using Function = void (*)(const void*, int);
  static constexpr int BITS = 20;
  static constexpr int MAX_CHUNKS = (1 << BITS) - 1;

  void dispatch(int chunks, Function function, const void* context);
  void publish(int chunks, Function function, const void* context);
  bool work();
  void loop();
  void sleep();

  // epoch << 40 | chunks << 20 | next chunk: one word, so that a claim is for the job it was read of.
  alignas(64) std::atomic<uint64_t> state_{0};
  alignas(64) std::atomic<int> done_{0};
  std::atomic<Function> function_{nullptr};
  std::atomic<const void*> context_{nullptr};
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<uint32_t> wake_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace chorale
