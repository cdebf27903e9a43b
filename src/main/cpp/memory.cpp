// Memory of weights, adapters and pages on huge pages where the system gives them: a step reads all
// weights once, and with 4 KiB pages a third of its time goes into address translation.
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "chorale.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace chorale {

namespace {

constexpr size_t HUGE_PAGE = size_t(2) << 20;
constexpr size_t CHUNK = 4 * HUGE_PAGE;
constexpr size_t SMALL = size_t(8) << 10;
constexpr size_t HEADER = 64;  // before each block, so that blocks are aligned to cache lines

enum Origin : size_t { HEAP, POOLED, MAPPED };

struct Header {
  size_t bytes;  // header included; of the whole mapping if MAPPED
  Origin origin;
  void* start;  // of the mapping
};

Header* headerOf(void* block) { return reinterpret_cast<Header*>(static_cast<char*>(block) - HEADER); }

void* withHeader(void* at, size_t bytes, Origin origin, void* start) {
  *static_cast<Header*>(at) = {bytes, origin, start};
  return static_cast<char*>(at) + HEADER;
}

// Zeroed and aligned to huge pages; `bytes` becomes the length to unmap, `start` where it begins.
void* map(size_t& bytes, void*& start) {
#if defined(__linux__)
  size_t length = roundUp(bytes, HUGE_PAGE) + HUGE_PAGE;
  start = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) throw std::bad_alloc();
  void* aligned = reinterpret_cast<void*>(roundUp(reinterpret_cast<size_t>(start), HUGE_PAGE));
  // A wish: without it all works, slower. Not for the end, which would take a whole page.
  if (bytes >= HUGE_PAGE) madvise(aligned, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
  bytes = length;
  return aligned;
#else
  bytes = roundUp(bytes, 64);
  start = std::aligned_alloc(64, bytes);
  if (start == nullptr) throw std::bad_alloc();
  return memset(start, 0, bytes);
#endif
}

// Blocks cut from chunks that are never returned; a freed block serves the next of its size, as an
// adapter's do when another of the same shape takes its slot.
class BlockPool {
 public:
  void* take(size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto& free = free_[bytes];
    if (!free.empty()) {
      void* block = free.back();
      free.pop_back();
      return memset(block, 0, bytes);
    }
    if (left_ < bytes) {
      size_t length = CHUNK;
      void* start;
      next_ = static_cast<char*>(map(length, start));
      left_ = CHUNK;
    }
    void* block = next_;
    next_ += bytes;
    left_ -= bytes;
    return block;
  }

  void give(void* block, size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    free_[bytes].push_back(block);
  }

 private:
  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;
  char* next_ = nullptr;
  size_t left_ = 0;
};

BlockPool& pool() {
  static BlockPool* shared = new BlockPool();  // outlives every owner of a block
  return *shared;
}

}  // namespace

void* allocate(size_t bytes) {
  size_t whole = roundUp(bytes + 64, 64) + HEADER;  // vector loads may run past the end
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  if (true) {  // each block its own, so that one byte beyond is seen
    whole = bytes + HEADER;
#else
  if (whole < SMALL) {
#endif
    void* heap;
    if (posix_memalign(&heap, 64, whole) != 0) throw std::bad_alloc();
    return withHeader(memset(heap, 0, whole), whole, HEAP, heap);
  }
  if (whole <= CHUNK / 4) return withHeader(pool().take(whole), whole, POOLED, nullptr);
  void* start;
  void* aligned = map(whole, start);
  return withHeader(aligned, whole, MAPPED, start);
}

void release(void* block) {
  if (block == nullptr) return;
  Header* header = headerOf(block);
  switch (header->origin) {
    case POOLED:
      pool().give(header, header->bytes);
      break;
#if defined(__linux__)
    case MAPPED:
      munmap(header->start, header->bytes);
      break;
#endif
    default:
      std::free(header->start);
  }
}

}  // namespace chorale
