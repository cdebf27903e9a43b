#include "pool.h"

#include <algorithm>
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

uint64_t Pool::wordOf(uint64_t epoch, uint64_t next, uint64_t end) {
  return epoch << (2 * BITS) | end << BITS | next;
}

uint64_t Pool::left(uint64_t word) { return (word >> BITS & MAX_CHUNKS) - (word & MAX_CHUNKS); }

Pool::Pool(int threads) : shares_(std::max(1, threads)) {
  for (int i = 1; i < threads; i++) workers_.emplace_back([this, i] { loop(i); });
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
  // Once nothing can be claimed, others finish in microseconds, unless one has lost its core.
  for (int spins = 0; done_.load(std::memory_order_acquire) != chunks; spins++) {
    if (work(0)) {
      spins = 0;
    } else if (spins < 2000) {
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
  epoch_++;
  for (size_t i = 0, n = shares_.size(); i < n; i++) {
    uint64_t next = chunks * i / n, end = chunks * (i + 1) / n;
    shares_[i].word.store(wordOf(epoch_, next, end));  // sequentially consistent, as in sleep
  }
  if (sleepers_.load() > 0) wakeAll(wake_);
}

// Claims and does one chunk; false if none is left.
bool Pool::work(int thread) {
  Share& own = shares_[thread];
  uint64_t seen = own.word.load(std::memory_order_acquire);
  if (left(seen) == 0) {
    for (size_t i = 1; i < shares_.size(); i++) {
      if (steal(own, seen >> (2 * BITS), shares_[(thread + i) % shares_.size()])) return true;
    }
    return false;
  }
  Function function = function_.load(std::memory_order_relaxed);
  const void* context = context_.load(std::memory_order_relaxed);
  // Success means that this job is still unfinished, hence that function and context are its own.
  if (own.word.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) {
    function(context, int(seen & MAX_CHUNKS));
    done_.fetch_add(1, std::memory_order_release);
  }
  return true;
}

// Takes the later half of another's chunks and does the first of them; false if there is none. Only
// of the job that its own share is of: a share of the next one may yet be published over it.
bool Pool::steal(Share& own, uint64_t epoch, Share& from) {
  uint64_t seen = from.word.load(std::memory_order_acquire);
  uint64_t take = (left(seen) + 1) / 2;
  if (take == 0 || seen >> (2 * BITS) != epoch) return false;
  Function function = function_.load(std::memory_order_relaxed);
  const void* context = context_.load(std::memory_order_relaxed);
  if (from.word.compare_exchange_weak(seen, seen - (take << BITS), std::memory_order_acq_rel)) {
    uint64_t end = seen >> BITS & MAX_CHUNKS, first = end - take;
    own.word.store(wordOf(epoch, first + 1, end), std::memory_order_release);
    function(context, int(first));
    done_.fetch_add(1, std::memory_order_release);
  }
  return true;
}

bool Pool::idle() const {
  for (const Share& share : shares_) {
    if (left(share.word.load()) > 0) return false;
  }
  return true;
}

void Pool::loop(int thread) {
  auto idleSince = std::chrono::steady_clock::now();
  for (int turn = 0; !stop_.load(std::memory_order_relaxed); turn++) {
    if (work(thread)) {
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
  if (idle() && !stop_.load()) waitWhile(wake_, seen);
  sleepers_.fetch_sub(1);
}

}  // namespace chorale
