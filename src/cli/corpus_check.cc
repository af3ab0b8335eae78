#include "cli/corpus_check.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/data/corpus.h"

namespace flywheel::cli {
namespace {

constexpr int kLowestPriority = 19;

}  // namespace

CorpusCheck::CorpusCheck(Path folder) : folder_(std::move(folder)), thread_([this] { run(); }) {}

CorpusCheck::~CorpusCheck() {
  stop_ = true;
  finish();
}

void CorpusCheck::finish() {
  if (thread_.joinable()) thread_.join();
}

void CorpusCheck::run() {
  // Linux has a priority for each thread.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kLowestPriority);
  try {
    data::Corpus::open(folder_).verify([this] { return stop_.load(); });
  } catch (const Error& e) {
    // What is away or cannot be read now is told by the runs that need it, and may come back.
    std::error_code ignored;
    if (e.code() != ErrorCode::kBadInput || !std::filesystem::exists(folder_ / "manifest.json", ignored)) return;
    const std::scoped_lock lock(mutex_);
    problem_ = e.what();
    damaged_ = true;
  }
}

void CorpusCheck::refuse_damage() const {
  if (!damaged_) return;
  const std::scoped_lock lock(mutex_);
  throw_failed(
      "{}. The lab is stopped: runs since it was damaged may have trained on it or been scored by it. Remove {} "
      "to have it made again from its sources by the same command; `flywheel runs` has the times of the runs",
      problem_, folder_.string());
}

}  // namespace flywheel::cli
