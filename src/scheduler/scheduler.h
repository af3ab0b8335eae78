// The scheduler: keeps the slots busy with runs, inside the budget, through crashes of runs and of the lab itself.
// A pure plan (plan.h), a runner that does the side effects (runner.h), and this loop between them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "ledger/ledger.h"
#include "protocol/run_events.h"
#include "recipe/run_spec.h"
#include "scheduler/runner.h"

namespace flywheel::scheduler {

// A run somebody wants. Ids are chosen by the campaign and are the same after a restart: asking again for a finished
// run costs nothing. An id names a folder: letters, digits and "._-" only.
struct Job {
  recipe::RunSpec spec;  // spec.threads is the number of slots it takes (at most all of them)
  std::string stage;     // "noise", "tune", "ladder", "top", "filler", ...
  double rung_flops = 0;
  double expected_seconds =
      0;             // wall clock on its slots; a job that would end after the deadline is not started; 0: unknown
  int priority = 0;  // higher starts first; equal: longest expected first
  uint64_t memory_bytes = 0;  // predicted peak; 0: unknown
};

struct Limits {
  int slots = 1;
  int max_attempts = 2;        // a failed run is tried once more, the reason kept; diverged, memory and input are final
  double stall_seconds = 120;  // a child without a new event for so long is killed and counts as failed
  double grace_seconds = 5;    // between SIGTERM and SIGKILL at the deadline
  double poll_seconds = 0.025;
  uint64_t memory_bytes =
      0;  // for all runs together; 0: not limited. A job that can never fit fails with reason "memory"
  std::vector<int> cpus = {};  // cores to share among the slots; empty: children run where the lab may
};

// The caller turns a campaign's budget into a time on the Clock, time between restarts excluded.
struct Deadline {
  double at_clock_seconds = 0;  // of the Clock; 0: none
  double flops = 0;             // total training FLOPs of the lab (ledger spend); 0: none
};

enum class Verdict { kFinished, kOutOfBudget, kInterrupted };

struct Progress {
  int running = 0, waiting = 0, done = 0, failed = 0;  // of the wanted jobs
  struct Active {
    std::string run, stage;
    double rung_flops, fraction, train_loss, bits_per_byte, seconds, seconds_left;
  };
  std::vector<Active> active;  // fillers included
};

// Not thread safe. Order of events on disk, which is why a kill at any instant loses and repeats nothing: the `run`
// record, spec.json, the `start` record (with the number of events that are there already), the process, its events,
// then the `attempt` or `finish` record. The destructor leaves children alive: the next lab adopts them.
class Scheduler {
 public:
  Scheduler(ledger::Ledger& ledger, Runner& runner, Clock& clock, Path runs_directory, Limits limits);
  ~Scheduler();

  // Adopts the children of an earlier lab process and ingests what ended while nobody watched. Call once, first.
  // Attempts whose process is gone are recorded as lost, which is no failure; their runs wait again: for a caller that
  // wants them, else as fillers.
  void recover();
  // Adds jobs (known ids are ignored) and works until every job of `wanted` ended, the budget is spent or should_stop()
  // is true. At the deadline and on should_stop the children get SIGTERM, checkpoint, and stay resumable.
  // kOutOfBudget also when no wanted job that is left fits the budget: the running ones, fillers included, are waited
  // for first and no new filler starts. So only kFinished leaves children (fillers) running; stop_all() ends them.
  // `filler` (may be empty) is asked for one more job whenever a slot would stay idle, with the
  // seconds until the last wanted run is expected to end; empty answer: nothing to do, asked again when a run ends or a
  // second later. Filler jobs that are still running when the wanted ones have ended go on into the next call. Fillers
  // never start while a wanted job waits for slots or memory.
  Verdict run(const std::vector<Job>& wanted, const Deadline& deadline, const std::function<bool()>& should_stop,
              const std::function<void(const Progress&)>& on_progress,
              const std::function<std::optional<Job>(double seconds_until_free)>& filler = {});
  // Stops all children (checkpoint) and waits for them.
  void stop_all();
  // Slot seconds in which a child was running, and slot seconds that passed, since construction.
  double busy_slot_seconds() const;
  double passed_slot_seconds() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flywheel::scheduler
