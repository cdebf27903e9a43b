// Runs the trainer's kernels on libtorch's own OpenMP threads, so that no second pool competes with
// them for the cores. GOMP_parallel is looked up in the library that is loaded already; without one
// the caller works alone.
#pragma once

#include <atomic>

namespace chorale {

// Calls work(context) on every thread of the team, the caller's too, and returns when all are back.
void onTeam(void (*work)(void*), void* context);

// Calls body(task) for task 0 .. tasks-1 in any order on any thread of the team.
template <typename Body>
void parallel(int tasks, const Body& body) {
  struct Job {
    const Body& body;
    int tasks;
    std::atomic<int> next;
  } job{body, tasks, {0}};
  if (tasks == 1) {
    body(0);
    return;
  }
  auto work = [](void* context) {
    Job& own = *static_cast<Job*>(context);
    for (int task; (task = own.next.fetch_add(1, std::memory_order_relaxed)) < own.tasks;) own.body(task);
  };
  onTeam(work, &job);
}

}  // namespace chorale
