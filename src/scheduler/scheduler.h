// The scheduler: keeps the slots busy with runs, inside the budget, through crashes of runs and of the lab itself.
// A pure plan (plan.h), a runner that does the side effects (runner.h), and this loop between them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "ledger/ledger.h"
#include "protocol/run_events.h"
#include "protocol/run_spec.h"
#include "scheduler/runner.h"

namespace flywheel::scheduler {

// A run somebody wants. Ids are chosen by the campaign and are the same after a restart: asking again for a finished
// run costs nothing.
struct Job {
  RunSpec spec;
  std::string stage;  // "noise", "tune", "ladder", "top", "filler", ...
  double rung_flops = 0;
  double expected_seconds = 0;  // of one slot; reserved from the budget
  int priority = 0;             // higher starts first; equal: longest expected first
};

struct Limits {
  int slots = 1;
  int max_attempts = 2;        // a failed run is tried once more, the reason kept
  double stall_seconds = 120;  // a child without a new event for so long is killed and counts as failed
};

// Seconds are wall clock since the campaign's first start, time between restarts excluded (the caller gives them).
struct Deadline {
  double at_clock_seconds = 0;  // of the Clock; 0: none
  double flops = 0;             // total training FLOPs of the lab; 0: none
};

enum class Verdict { kFinished, kOutOfBudget, kInterrupted };

struct Progress {
  int running = 0, waiting = 0, done = 0, failed = 0;
  struct Active {
    std::string run, stage;
    double rung_flops, fraction, train_loss, bits_per_byte, seconds, seconds_left;
  };
  std::vector<Active> active;
};

class Scheduler {
 public:
  Scheduler(ledger::Ledger& ledger, Runner& runner, Clock& clock, Path runs_directory, Limits limits);

  // Adopts the children of an earlier lab process and ingests what ended while nobody watched. Call once, first.
  void recover();
  // Adds jobs (known ids are ignored) and works until every job of `wanted` ended, the budget is spent or should_stop()
  // is true. On the last two the children get SIGTERM, checkpoint, and stay resumable. `filler` (may be empty) is asked
  // for one more job whenever a slot would stay idle; filler jobs that are still running when the wanted ones have
  // ended go on into the next call.
  Verdict run(const std::vector<Job>& wanted, const Deadline& deadline, const std::function<bool()>& should_stop,
              const std::function<void(const Progress&)>& on_progress,
              const std::function<std::optional<Job>(double seconds_until_free)>& filler = {});
  // Stops all children (checkpoint) and waits for them.
  void stop_all();
  // Slot seconds in which a child was running, and slot seconds that passed, since construction.
  double busy_slot_seconds() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flywheel::scheduler
