// Run processes in virtual time: they train, fail, stall and crash as scripted, and write real events.jsonl files.
// The processes outlive the lab: forget() is what a kill -9 of the lab does, kill_all() one of the runs.
#pragma once

#include <signal.h>

#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "protocol/run_events.h"
#include "scheduler/runner.h"

namespace flywheel::testing {

// One attempt of a run.
struct Script {
  double seconds = 1;  // for all its own steps; a resumed attempt takes its share
  enum class End { kDone, kFail, kCrash, kStall, kIgnoreSigterm } end = End::kDone;
  std::string reason = "crash: scripted";
  double at_fraction = 0.5;  // of the steps: where it fails, crashes or goes silent
};

class FakeRunner : public scheduler::Runner {
 public:
  explicit FakeRunner(Clock& clock) : clock_(clock) {}

  // Attempts of a run in order, the last one repeated; runs without a script take `seconds_of`.
  std::map<std::string, std::vector<Script>> scripts;
  std::function<double(const recipe::RunSpec&)> seconds_of = [](const recipe::RunSpec&) { return 1.0; };
  std::function<double(const recipe::RunSpec&)> bits_per_byte_of = [](const recipe::RunSpec&) {
    return 2.0;
  };                          // at the end
  double stop_seconds = 0.1;  // from SIGTERM to exit 75
  std::function<void()> before_start = [] {}, after_start = [] {};
  std::map<std::string, int> starts;
  std::map<std::string, std::set<int>> cpus_seen;
  int most_running = 0;
  double busy_seconds = 0;

  void start(const std::string& run, const Path& directory, const std::vector<int>& cpus) override {
    before_start();
    const recipe::RunSpec spec = recipe::load_run_spec(directory / protocol::kSpecFile);
    Process process;
    process.spec = spec;
    process.directory = directory;
    process.bits_per_byte = bits_per_byte_of(spec);
    process.ours = true;
    const auto scripted = scripts.find(run);
    const int attempt = starts[run]++;
    if (scripted == scripts.end()) {
      process.script.seconds = seconds_of(spec);
    } else {
      process.script = scripted->second[std::min<size_t>(static_cast<size_t>(attempt), scripted->second.size() - 1)];
    }
    const protocol::RunOutcome before = protocol::read_outcome(directory / protocol::kEventsFile);
    process.t_before = before.train_seconds;
    process.first_step = process.step = std::max(checkpoints_[run], spec.size.trunk_steps);
    process.started = clock_.now_seconds();
    cpus_seen[run] = {cpus.begin(), cpus.end()};
    processes_[run] = process;
    std::error_code ignored;
    if (checkpoints_[run] == 0 && !spec.branch.empty() &&
        !std::filesystem::exists(spec.branch / protocol::kStableFile, ignored)) {
      say(processes_[run], {{"type", "failed"}, {"step", 0}, {"reason", "input: branch: no such file"}});
      leave(processes_[run], 1);
    } else {
      say(processes_[run], {{"type", "start"}, {"steps", spec.size.steps}, {"resumed_step", process.first_step}});
    }
    most_running = std::max(most_running, running());
    after_start();
  }

  bool adopt(const std::string& run, const Path& directory) override {
    move();
    const auto found = processes_.find(run);
    if (found == processes_.end() || found->second.exit_code) return false;
    found->second.ours = true;
    found->second.adopted = true;
    return true;
  }

  std::vector<scheduler::RunnerExit> poll() override {
    move();
    std::vector<scheduler::RunnerExit> exits;
    for (auto& [run, process] : processes_)
      if (process.exit_code && process.ours) exits.push_back({run, process.adopted ? -1 : *process.exit_code});
    for (const auto& exit : exits) processes_.erase(exit.run);
    return exits;
  }

  void signal(const std::string& run, int number) override {
    const auto found = processes_.find(run);
    if (found == processes_.end() || found->second.exit_code) return;
    Process& process = found->second;
    if (number == SIGKILL) {
      leave(process, 128 + SIGKILL);
    } else if (process.script.end != Script::End::kIgnoreSigterm && process.script.end != Script::End::kStall) {
      process.stop_at = clock_.now_seconds() + stop_seconds;
    }
  }

  void forget() {
    for (auto& [run, process] : processes_) process.ours = process.adopted = false;
    std::erase_if(processes_, [](const auto& entry) { return entry.second.exit_code.has_value(); });
  }
  void kill_all() {
    move();
    processes_.clear();
  }
  int running() const {
    int n = 0;
    for (const auto& [run, process] : processes_) n += process.exit_code ? 0 : 1;
    return n;
  }

 private:
  struct Process {
    recipe::RunSpec spec;
    Path directory;
    Script script;
    double started = 0, t_before = 0, bits_per_byte = 0;
    int64_t first_step = 0, step = 0;
    std::optional<double> stop_at;
    std::optional<int> exit_code;
    bool ours = false, adopted = false;
  };

  void say(Process& process, Json event, double at = -1) {
    event["t"] = process.t_before + (at < 0 ? clock_.now_seconds() : at) - process.started;
    std::ofstream(process.directory / protocol::kEventsFile, std::ios::app) << event.dump() << "\n";
  }
  void leave(Process& process, int code) {
    process.exit_code = code;
    busy_seconds += clock_.now_seconds() - process.started;
  }

  // Brings every process to the clock's now.
  void move() {
    for (auto& [run, process] : processes_)
      if (!process.exit_code) move(run, process);
  }
  void move(const std::string& run, Process& process) {
    const double now = clock_.now_seconds();
    const recipe::Size& size = process.spec.size;
    const auto steps = size.steps;
    const double per_step = process.script.seconds / static_cast<double>(steps - size.trunk_steps);
    const double flops_per_token = count(process.spec.recipe, size).flops_per_token;
    const auto tokens_at = [&](int64_t step) {
      return static_cast<double>(size.sequences_before(step) * size.context);
    };
    const auto at_fraction = [&](double fraction) {
      return size.trunk_steps + static_cast<int64_t>(fraction * static_cast<double>(steps - size.trunk_steps));
    };
    const double until = process.stop_at ? std::min(now, *process.stop_at) : now;
    auto reached = process.first_step + static_cast<int64_t>((until - process.started) / per_step + 1e-9);
    const bool fails = process.script.end != Script::End::kDone && process.script.end != Script::End::kIgnoreSigterm;
    const auto last = fails ? at_fraction(process.script.at_fraction) : steps;
    reached = std::min(reached, last);
    while (process.step < reached) {
      const auto step = ++process.step;
      const double at = process.started + static_cast<double>(step - process.first_step) * per_step;
      say(process, {{"type", "step"}, {"step", step}, {"tokens", tokens_at(step)}, {"loss", 2.0}}, at);
      if (step * 4 % steps == 0) {
        say(process,
            {{"type", "eval"},
             {"step", step},
             {"tokens", tokens_at(step)},
             {"flops", tokens_at(step) * flops_per_token},
             {"split", "search"},
             {"loss", 2.0},
             {"bits_per_byte", process.bits_per_byte + 1 - static_cast<double>(step) / static_cast<double>(steps)}},
            at);
        checkpoints_[run] = step;
        say(process, {{"type", "checkpoint"}, {"step", step}}, at);
        if (const auto& rule = process.spec.stop_above; rule && step < steps) {
          const auto share = static_cast<double>(step) / static_cast<double>(steps);
          if (share >= rule->fraction && share - 0.25 < rule->fraction &&
              process.bits_per_byte + 1 - share > rule->bits_per_byte) {
            say(process, {{"type", "stopped"}, {"step", step}, {"reason", "gave up: its rule"}}, at);
            return leave(process, 75);
          }
        }
      }
    }
    if (process.step == steps) {
      if (process.spec.keep_stable) std::ofstream(process.directory / protocol::kStableFile) << "stable";
      say(process, {{"type", "done"},
                    {"step", steps},
                    {"tokens", tokens_at(steps)},
                    {"flops", tokens_at(steps) * flops_per_token},
                    {"loss", 2.0},
                    {"bits_per_byte", process.bits_per_byte},
                    {"train_seconds", process.script.seconds},
                    {"cpu_seconds", process.script.seconds},
                    {"peak_memory_bytes", 1 << 20}});
      leave(process, 0);
    } else if (process.stop_at && now >= *process.stop_at) {
      checkpoints_[run] = process.step;
      say(process, {{"type", "checkpoint"}, {"step", process.step}});
      leave(process, 75);
    } else if (fails && process.step >= last) {
      if (process.script.end == Script::End::kFail) {
        say(process, {{"type", "failed"}, {"step", process.step}, {"reason", process.script.reason}});
        leave(process, 1);
      } else if (process.script.end == Script::End::kCrash) {
        leave(process, 128 + SIGSEGV);
      }
    }
  }

  Clock& clock_;
  std::map<std::string, Process> processes_;
  std::map<std::string, int64_t> checkpoints_;
};

}  // namespace flywheel::testing
