#include "base/thread_pool.h"

#include <sched.h>

#include "base/check.h"

namespace flywheel {
namespace {

// Steps of small models take under a millisecond: spin this long before sleeping.
constexpr int kSpins = 20000;

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads, std::vector<int> cpus) {
  CHECK(threads >= 1);
  for (int thread = 1; thread < threads; ++thread) {
    const int cpu = cpus.empty() ? -1 : cpus[static_cast<size_t>(thread) % cpus.size()];
    workers_.emplace_back([this, thread, cpu] { worker_loop(thread, cpu); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    generation_.fetch_add(1);
  }
  start_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(const std::function<void(int)>& work) {
  if (workers_.empty()) return work(0);
  {
    std::lock_guard lock(mutex_);
    work_ = &work;
    running_.store(static_cast<int>(workers_.size()));
    generation_.fetch_add(1);
  }
  start_.notify_all();
  work(0);
  for (int spins = 0; running_.load(std::memory_order_acquire) != 0; ++spins) {
    if (spins < kSpins)
      pause_cpu();
    else
      std::this_thread::yield();
  }
}

void ThreadPool::worker_loop(int thread, int cpu) {
  if (cpu >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    ::sched_setaffinity(0, sizeof set, &set);
  }
  uint64_t seen = 0;
  while (true) {
    for (int spins = 0; spins < kSpins && generation_.load(std::memory_order_acquire) == seen; ++spins) pause_cpu();
    const std::function<void(int)>* work;
    {
      std::unique_lock lock(mutex_);
      start_.wait(lock, [&] { return generation_.load() != seen; });
      seen = generation_.load();
      if (stopping_) return;
      work = work_;
    }
    (*work)(thread);
    running_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace flywheel
