// Worker threads that share numbered chunks of one job at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace chorale {

// The caller works too. Each thread begins with a run of chunks of its own, so that what it reads from
// memory is one stream; one that has no more takes half of what another has left, so a thread that
// loses its core delays one chunk only. Workers spin for some microseconds after a job, then sleep.
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
  // epoch << 40 | end << 20 | next chunk: one word, so that a claim is for the job it was read of.
  struct alignas(64) Share {
    std::atomic<uint64_t> word{0};
  };
  static constexpr int BITS = 20;
  static constexpr int MAX_CHUNKS = (1 << BITS) - 1;

  void dispatch(int chunks, Function function, const void* context);
  void publish(int chunks, Function function, const void* context);
  static uint64_t wordOf(uint64_t epoch, uint64_t next, uint64_t end);
  static uint64_t left(uint64_t word);
  bool work(int thread);
  bool steal(Share& own, uint64_t epoch, Share& from);
  bool idle() const;
  void loop(int thread);
  void sleep();

  std::vector<Share> shares_;  // of each thread; the caller's first
  uint64_t epoch_ = 0;
  alignas(64) std::atomic<int> done_{0};
  std::atomic<Function> function_{nullptr};
  std::atomic<const void*> context_{nullptr};
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<uint32_t> wake_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace chorale
