// The scheduler: keeps a runner's resources busy with runs, inside the budget, through crashes of runs and of the lab
// itself. A pure plan (plan.h), a runner that does the side effects (runner.h), and steps between them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "ledger/ledger.h"
#include "scheduler/job.h"
#include "scheduler/runner.h"

namespace flywheel::scheduler {

struct Limits {
  int max_attempts = 2;        // failures by divergence, memory or input are final
  double stall_seconds = 120;  // a run without a new event for this long is killed and counts as failed
  double grace_seconds = 5;    // between being asked to stop and being killed
  double event_seconds = 0.2;  // the events of runs are read this often; their ends are seen at once
  // Where the machine keeps a run from going on: pauses double from the first to the longest. A run that was ended so
  // often in a row without a new checkpoint fails where others went on meanwhile, and stops the goal where none did.
  double first_pause_seconds = 1, longest_pause_seconds = 60;
  int most_ended_by_machine = 6;
  double most_held_seconds = 600;  // with nothing running, before the goal is stopped
  double most_away_seconds = 10;   // likewise, where the lab's folder is gone
};

// The caller turns a campaign's budget into a time on the Clock, time between restarts excluded.
struct Deadline {
  double at_clock_seconds = 0;  // of the Clock; 0: none
  double flops = 0;             // that the lab may have spent (ledger spend); 0: none
};

// Asked for one more job whenever cores would stay idle, with the seconds until the last wanted run is expected to end.
// An empty answer means no job; it is asked again when a run ends, or a second later.
using Filler = std::function<std::optional<Job>(double seconds_until_free)>;

enum class Status { kWorking, kFinished, kOutOfBudget, kInterrupted, kHeld };

struct Progress {
  int running = 0, waiting = 0, done = 0, failed = 0;  // of the wanted jobs
  struct Active {
    std::string run, stage;
    double rung_flops, fraction, train_loss, bits_per_byte, seconds, seconds_left;
  };
  std::vector<Active> active;  // fillers included
};

// Counters of the scheduler's own work since construction.
struct Effort {
  int64_t starts = 0;             // decisions to start a run
  int64_t requests_examined = 0;  // waiting runs, or subtrees of them, compared with the free resources
  int64_t ledger_scans = 0;       // reads of all runs of the ledger
};

// Not thread safe. Order of events on disk, which is why a kill at any instant loses and repeats nothing: the `run`
// record, spec.json, the `start` record (with the number of events that are there already), the process, its events,
// then the `attempt` or `finish` record. The destructor leaves runs alive: the next lab adopts them.
class Scheduler {
 public:
  Scheduler(ledger::Ledger& ledger, Runner& runner, Clock& clock, Path runs_directory, Limits limits = {});
  ~Scheduler();

  // Makes the Job of a run of the ledger that has not ended, from the text of its spec.json: its work, what it needs,
  // its command, and whether it may give up. The rest is taken from the ledger.
  using Rebuild = std::function<Job(const ledger::RunRow& row, const std::string& spec)>;
  // Adopts the runs of an earlier lab process and records those that ended while no lab was running. Call once, first.
  // Attempts whose process is gone are recorded as lost, which is not a failure; their runs are queued again, as
  // fillers unless a caller wants them.
  void recover(const Rebuild& rebuild);

  // Called with the state of the wanted jobs about four times a second, and when they have ended. Set once.
  void on_progress(std::function<void(const Progress&)> subscriber);

  // Sets the next goal: that every job of `wanted` ends. Known ids are ignored. Nothing starts before the first step.
  void begin(std::vector<Job> wanted, const Deadline& deadline, Filler filler = {});
  // Handles pending events, starts what can start, and waits at most `most_seconds` for the next event. After a return
  // value other than kWorking it does nothing until begin() or interrupt().
  // - kFinished: every wanted job ended. Fillers may still be running and continue into the next goal.
  // - kOutOfBudget: at the deadline, when runs were stopped with a checkpoint and stay resumable. Also when no
  // remaining
  //   wanted job fits the budget; then running jobs, fillers included, are waited for and no filler starts.
  // - kInterrupted: as at the deadline, after interrupt().
  // - kHeld: as at the deadline, since the machine lets no run go on (held_by()): again later.
  // What the machine does (a start that fails, a kill, a full disk, a lock) is no failure of a run: it waits, for a
  // growing pause. The deadline moves by the time in which nothing could run for that.
  // Fillers never start while a wanted job waits for resources.
  Status step(double most_seconds);
  // The next steps stop all runs with a checkpoint, fillers included, also after the goal was reached.
  void interrupt();
  // begin(), then step() until the goal ends; interrupts as soon as should_stop() is true.
  Status run(std::vector<Job> wanted, const Deadline& deadline = {}, const std::function<bool()>& should_stop = {},
             Filler filler = {});
  // Stops all runs with a checkpoint and waits for them.
  void stop_all();

  Progress progress() const;
  // What kept the last run from going on, in words.
  const std::string& held_by() const;
  // Seconds since the last call in which nothing could run for what the machine did.
  double take_held_seconds();
  // The deadline is this much later.
  void postpone(double seconds);
  Effort effort() const;
  // Core seconds in which a run held a core, since construction.
  double busy_slot_seconds() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flywheel::scheduler
