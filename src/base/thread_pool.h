// A fixed team of threads that run the same function together, as a training step needs: no queue, no allocation.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace flywheel {

// `run` is called from one thread at a time; the caller works as thread 0.
class ThreadPool {
 public:
  // threads >= 1; with `cpus`, thread i is bound to cpus[i % cpus.size()].
  explicit ThreadPool(int threads, std::vector<int> cpus = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }
  // Calls work(thread) on every thread and returns when all are done. `work` must not throw.
  void run(const std::function<void(int)>& work);

 private:
  void worker_loop(int thread, int cpu);

  std::mutex mutex_;
  std::condition_variable start_;
  const std::function<void(int)>* work_ = nullptr;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> running_{0};
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace flywheel
