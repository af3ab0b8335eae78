// Run processes in virtual time: they train, fail, stall and crash as scripted, and write real events.jsonl files.
// Waiting for them moves the clock to the next thing that happens. The processes outlive the lab: forget() is what a
// kill -9 of the lab does, kill_all() one of the runs.
#pragma once

#include <signal.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "protocol/run_events.h"
#include "scheduler/runner.h"
#include "testing/jobs.h"

namespace flywheel::testing {

// One attempt of a run.
struct Script {
  double seconds = 1;  // for all its own steps; a resumed attempt takes its share
  enum class End { kDone, kFail, kCrash, kExit, kStall, kIgnoreStop } end = End::kDone;
  int signal = SIGSEGV, exit_code = 1;  // of a crash, of an exit
  std::string reason = "crash: scripted";
  double at_fraction = 0.5;  // of the steps: where it fails, crashes or goes silent
};

class FakeRunner : public scheduler::Runner {
 public:
  explicit FakeRunner(Clock& clock, const scheduler::Resources& capacity = {.cores = 2})
      : clock_(clock), capacity_(capacity) {}

  // Attempts of a run in order, the last one repeated; runs without a script take `fake_seconds_of`.
  std::map<std::string, std::vector<Script>> scripts;
  std::function<double(const FakeSpec&)> fake_seconds_of = [](const FakeSpec&) { return 1.0; };
  std::function<double(const FakeSpec&)> fake_bits_per_byte_of = [](const FakeSpec&) { return 2.0; };  // at the end
  double stop_seconds = 0.1;  // from being asked to stop to exit 75
  std::function<void()> before_start = [] {}, after_start = [] {};
  std::map<std::string, int> starts;
  std::map<std::string, scheduler::Launch> launches;  // the last of each run
  std::vector<std::string> order;                     // of starts
  int most_running = 0;
  double busy_seconds = 0;

  scheduler::Resources capacity() override { return capacity_; }
  // At once, or when the clock gets there.
  void set_capacity(const scheduler::Resources& capacity, double at_seconds = 0) { changes_[at_seconds] = capacity; }

  void start(const scheduler::Launch& launch) override {
    before_start();
    const std::string& run = launch.run;
    Process process;
    process.spec = read_spec(real_file_system().read(launch.directory / protocol::kSpecFile));
    process.directory = launch.directory;
    process.bits_per_byte = fake_bits_per_byte_of(process.spec);
    process.ours = true;
    const auto scripted = scripts.find(run);
    const int attempt = starts[run]++;
    if (scripted == scripts.end()) {
      process.script.seconds = fake_seconds_of(process.spec);
    } else {
      process.script = scripted->second[std::min<size_t>(static_cast<size_t>(attempt), scripted->second.size() - 1)];
    }
    const protocol::RunOutcome before = protocol::read_outcome(launch.directory / protocol::kEventsFile);
    process.t_before = before.train_seconds;
    process.first_step = process.step = std::max(checkpoints_[run], process.spec.first_step);
    process.started = clock_.now_seconds();
    launches[run] = launch;
    order.push_back(run);
    Process& started = processes_[run] = process;
    const std::string& branch = process.spec.branch;
    std::error_code ignored;
    if (checkpoints_[run] == 0 && !branch.empty() &&
        !std::filesystem::exists(launch.directory.parent_path() / branch / protocol::kStableFile, ignored)) {
      say(started, {{"type", "failed"}, {"step", 0}, {"reason", "input: branch: no such file"}});
      leave(started, 1);
    } else {
      say(started, {{"type", "start"}, {"steps", process.spec.steps}, {"resumed_step", process.first_step}});
    }
    most_running = std::max(most_running, running());
    after_start();
  }

  bool adopt(const std::string& run, const Path&, const scheduler::Resources&) override {
    move();
    const auto found = processes_.find(run);
    if (found == processes_.end() || found->second.exit_code) return false;
    found->second.ours = true;
    found->second.adopted = true;
    return true;
  }

  std::vector<scheduler::RunnerEvent> wait(double most_seconds) override {
    const double until = clock_.now_seconds() + most_seconds;
    while (true) {
      move();
      std::vector<scheduler::RunnerEvent> events = take_events();
      const double now = clock_.now_seconds();
      if (!events.empty() || now >= until) return events;
      double next = until;
      for (const auto& [run, process] : processes_)
        if (!process.exit_code) next = std::min(next, ends_at(process));
      if (!changes_.empty()) next = std::min(next, changes_.begin()->first);
      clock_.sleep_seconds(std::max(next - now, 1e-6));
    }
  }

  void stop(const std::string& run, double grace_seconds) override {
    const auto found = processes_.find(run);
    if (found == processes_.end() || found->second.exit_code) return;
    Process& process = found->second;
    process.kill_at = clock_.now_seconds() + grace_seconds;
    if (process.script.end != Script::End::kIgnoreStop && process.script.end != Script::End::kStall)
      process.stop_at = clock_.now_seconds() + stop_seconds;
  }
  void kill(const std::string& run) override {
    const auto found = processes_.find(run);
    if (found != processes_.end() && !found->second.exit_code) leave(found->second, 128 + SIGKILL);
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

 protected:
  virtual FakeSpec read_spec(const std::string& text) const { return fake_spec(text); }

 private:
  struct Process {
    FakeSpec spec;
    Path directory;
    Script script;
    double started = 0, t_before = 0, bits_per_byte = 0;
    int64_t first_step = 0, step = 0;
    std::optional<double> stop_at, kill_at;
    std::optional<int> exit_code;
    bool ours = false, adopted = false;

    double seconds_per_step() const { return script.seconds / static_cast<double>(spec.steps - spec.first_step); }
    int64_t at_fraction(double fraction) const {
      return spec.first_step + static_cast<int64_t>(fraction * static_cast<double>(spec.steps - spec.first_step));
    }
    bool fails() const { return script.end != Script::End::kDone && script.end != Script::End::kIgnoreStop; }
    int64_t last_step() const { return fails() ? at_fraction(script.at_fraction) : spec.steps; }
    double bits_per_byte_at(int64_t at) const {
      return bits_per_byte + 1 - static_cast<double>(at) / static_cast<double>(spec.steps);
    }
    // The first step at or after each quarter.
    bool evaluates(int64_t at) const { return at * 4 / spec.steps > (at - 1) * 4 / spec.steps; }
    bool gives_up(int64_t at) const {
      const double share = static_cast<double>(at) / static_cast<double>(spec.steps);
      return spec.stop && at < spec.steps && evaluates(at) && share >= spec.stop->fraction &&
             share - 0.25 < spec.stop->fraction && bits_per_byte_at(at) > spec.stop->bits_per_byte;
    }
    // Where it ends of itself; a stalled one stays there.
    int64_t end_step() const {
      int64_t at = std::min(step + 1, last_step());
      while (at < last_step() && !gives_up(at)) ++at;
      return at;
    }
    double time_of(int64_t at) const { return started + static_cast<double>(at - first_step) * seconds_per_step(); }
  };

  double ends_at(const Process& process) const {
    double at = process.script.end == Script::End::kStall ? 1e300 : process.time_of(process.end_step());
    if (process.stop_at) at = std::min(at, *process.stop_at);
    if (process.kill_at) at = std::min(at, *process.kill_at);
    return at;
  }

  std::vector<scheduler::RunnerEvent> take_events() {
    using What = scheduler::RunnerEvent::What;
    std::vector<scheduler::RunnerEvent> events;
    while (!changes_.empty() && changes_.begin()->first <= clock_.now_seconds()) {
      capacity_ = changes_.begin()->second;
      changes_.erase(changes_.begin());
      events.push_back({What::kCapacityChanged, "", 0});
    }
    std::erase_if(processes_, [&](const auto& entry) {
      const auto& [run, process] = entry;
      if (!process.exit_code || !process.ours) return false;
      events.push_back({What::kEnded, run, process.adopted ? -1 : *process.exit_code});
      return true;
    });
    return events;
  }

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
    const FakeSpec& spec = process.spec;
    const auto tokens_at = [&](int64_t step) { return spec.tokens_before(step); };
    const double until = process.stop_at ? std::min(now, *process.stop_at) : now;
    auto reached =
        process.first_step + static_cast<int64_t>((until - process.started) / process.seconds_per_step() + 1e-6);
    reached = std::min(reached, process.last_step());
    while (process.step < reached) {
      const auto step = ++process.step;
      const double at = process.time_of(step);
      say(process, {{"type", "step"}, {"step", step}, {"tokens", tokens_at(step)}, {"loss", 2.0}}, at);
      if (process.evaluates(step)) {
        say(process,
            {{"type", "eval"},
             {"step", step},
             {"tokens", tokens_at(step)},
             {"flops", tokens_at(step) * spec.flops_per_token},
             {"split", "search"},
             {"loss", 2.0},
             {"bits_per_byte", process.bits_per_byte_at(step)}},
            at);
        checkpoints_[run] = step;
        say(process, {{"type", "checkpoint"}, {"step", step}}, at);
        if (process.gives_up(step)) {
          say(process, {{"type", "stopped"}, {"step", step}, {"reason", "gave up: its rule"}}, at);
          return leave(process, 75);
        }
      }
    }
    if (process.step == spec.steps) {
      if (spec.keep_stable) std::ofstream(process.directory / protocol::kStableFile) << "stable";
      say(process, {{"type", "done"},
                    {"step", spec.steps},
                    {"tokens", tokens_at(spec.steps)},
                    {"flops", tokens_at(spec.steps) * spec.flops_per_token},
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
    } else if (process.kill_at && now >= *process.kill_at) {
      leave(process, 128 + SIGKILL);
    } else if (process.fails() && process.step >= process.last_step()) {
      if (process.script.end == Script::End::kFail) {
        say(process, {{"type", "failed"}, {"step", process.step}, {"reason", process.script.reason}});
        leave(process, 1);
      } else if (process.script.end == Script::End::kCrash) {
        leave(process, 128 + process.script.signal);
      } else if (process.script.end == Script::End::kExit) {
        leave(process, process.script.exit_code);
      }
    }
  }

  Clock& clock_;
  scheduler::Resources capacity_;
  std::map<double, scheduler::Resources> changes_;
  std::map<std::string, Process> processes_;
  std::map<std::string, int64_t> checkpoints_;
};

}  // namespace flywheel::testing
