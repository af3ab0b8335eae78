#include "cli/bench_start.h"

#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/subprocess.h"
#include "engine/data/tail_corpus.h"
#include "protocol/run_events.h"
#include "recipe/run_spec.h"

namespace flywheel::cli {
namespace {

constexpr int kRounds = 9;
constexpr int kSteps = 4;
constexpr size_t kTextBytes = 1 << 20;

class Folder {
 public:
  Folder() : path_(make_scratch_folder("flywheel-bench")) {}
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const Path& path() const { return path_; }

 private:
  Path path_;
};

Path make_corpus(const Path& folder) {
  Rng rng(1);
  std::string text(kTextBytes, ' ');
  for (char& letter : text) letter = static_cast<char>('a' + rng.below(26));
  real_file_system().write_atomic(folder / "text", text);
  data::build_tail_corpus(folder / "text", 0.1, {}, folder / "corpus");
  return folder / "corpus";
}

// The first step is seen when it has ended; what it took itself is known from the steps after it.
double start_seconds(const Path& spec, const Path& run) {
  const double begin = real_clock().now_seconds();
  SpawnOptions options;
  options.arguments = {self_executable().string(), "train", spec.string(), "--dir", run.string()};
  const ProcessIdentity child = spawn(options);
  protocol::EventTail events(run / protocol::kEventsFile);
  double first_seen = 0;
  std::vector<double> ends;
  std::optional<int> exit_code;
  while (!exit_code) {
    exit_code = try_wait(child.pid);
    for (const protocol::RunEvent& event : events.poll()) {
      if (event.type != "step") continue;
      if (ends.empty()) first_seen = real_clock().now_seconds();
      ends.push_back(event.t);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  if (*exit_code != 0 || ends.size() < 2) throw_failed("bench: a run to time its start ended with {}", *exit_code);
  double step = ends[1] - ends[0];
  for (size_t i = 2; i < ends.size(); ++i) step = std::min(step, ends[i] - ends[i - 1]);
  return first_seen - begin - step;
}

}  // namespace

double start_milliseconds(const recipe::Recipe& recipe, recipe::Size size) {
  const Folder folder;
  size.steps = kSteps;
  recipe::RunSpec spec;
  spec.id = "start";
  spec.recipe = recipe;
  spec.size = size;
  spec.corpus = make_corpus(folder.path());
  spec.eval_every_fraction = 0;
  spec.log_every_fraction = 0;
  real_file_system().write_atomic(folder.path() / "spec.json", to_json(spec).dump());
  std::vector<double> seconds;
  for (int round = 0; round < kRounds; ++round)
    seconds.push_back(start_seconds(folder.path() / "spec.json", folder.path() / std::to_string(round)));
  std::nth_element(seconds.begin(), seconds.begin() + kRounds / 2, seconds.end());
  return 1e3 * seconds[kRounds / 2];
}

}  // namespace flywheel::cli
