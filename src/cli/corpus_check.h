// The checksums of a lab's corpus, read in the background while runs train: opening a corpus looks at a sample only.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>

#include "base/file_system.h"

namespace flywheel::cli {

// Begins at construction, at the lowest priority; destruction ends it. Thread safe.
class CorpusCheck {
 public:
  explicit CorpusCheck(Path folder);
  ~CorpusCheck();
  CorpusCheck(const CorpusCheck&) = delete;
  CorpusCheck& operator=(const CorpusCheck&) = delete;

  void finish();  // waits until all is read; not thread safe
  bool found_damage() const { return damaged_; }
  // Throws kFailed, saying what to do, when damage was found.
  void refuse_damage() const;

 private:
  void run();

  const Path folder_;
  std::atomic<bool> stop_{false}, damaged_{false};
  mutable std::mutex mutex_;
  std::string problem_;
  std::thread thread_;
};

}  // namespace flywheel::cli
