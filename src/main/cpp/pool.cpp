#include "pool.h"

#include <chrono>
#include <climits>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace chorale {

namespace {

constexpr auto SPIN = std::chrono::microseconds(50);

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

void waitWhile(std::atomic<uint32_t>& word, uint32_t value) {
#if defined(__linux__)
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
#else
  if (word.load() == value) std::this_thread::sleep_for(SPIN);
#endif
}

void wakeAll(std::atomic<uint32_t>& word) {
  word.fetch_add(1);
#if defined(__linux__)
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
#endif
}

}  // namespace

Pool::Pool(int threads) {
  for (int i = 1; i < threads; i++) workers_.emplace_back([this] { loop(); });
}

Pool::~Pool() {
  stop_.store(true);
  wakeAll(wake_);
  for (auto& worker : workers_) worker.join();
}

void Pool::dispatch(int chunks, Function function, const void* context) {
  if (workers_.empty() || chunks <= 1 || chunks > MAX_CHUNKS) {
    for (int c = 0; c < chunks; c++) function(context, c);
    return;
  }
  publish(chunks, function, context);
  while (work()) {
  }
  // Only chunks that others have begun are left: microseconds, unless one has lost its core.
  for (int spins = 0; done_.load(std::memory_order_acquire) != chunks; spins++) {
    if (spins < 2000) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

void Pool::publish(int chunks, Function function, const void* context) {
  // No worker reads these now: a claim needs an unclaimed chunk of the old job, and there is none.
  function_.store(function, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  uint64_t epoch = (state_.load(std::memory_order_relaxed) >> (2 * BITS)) + 1;
  state_.store(epoch << (2 * BITS) | uint64_t(chunks) << BITS);  // sequentially consistent, as in sleep
  if (sleepers_.load() > 0) wakeAll(wake_);
}

// Claims and does one chunk; false if none is left.
bool Pool::work() {
  uint64_t seen = state_.load(std::memory_order_acquire);
  int chunk = int(seen & MAX_CHUNKS);
  if (chunk >= int(seen >> BITS & MAX_CHUNKS)) return false;
  Function function = function_.load(std::memory_order_relaxed);
  const void* context = context_.load(std::memory_order_relaxed);
  // Success means that this job is still unfinished, hence that function and context are its own.
  if (state_.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) {
    function(context, chunk);
    done_.fetch_add(1, std::memory_order_release);
  }
  return true;
}

void Pool::loop() {
  auto idleSince = std::chrono::steady_clock::now();
  for (int turn = 0; !stop_.load(std::memory_order_relaxed); turn++) {
    if (work()) {
      turn = -1;
      continue;
    }
    pause();
    if (turn == 0) {
      idleSince = std::chrono::steady_clock::now();
    } else if (turn % 64 == 0 && std::chrono::steady_clock::now() - idleSince > SPIN) {
      sleep();
      turn = -1;
    }
  }
}

void Pool::sleep() {
  uint32_t seen = wake_.load();
  sleepers_.fetch_add(1);
  uint64_t state = state_.load();
  bool idle = int(state & MAX_CHUNKS) >= int(state >> BITS & MAX_CHUNKS);
  if (idle && !stop_.load()) waitWhile(wake_, seen);
  sleepers_.fetch_sub(1);
}

}  // namespace chorale
