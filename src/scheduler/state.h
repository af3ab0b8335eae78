// The scheduler's private state: waiting runs, running ones, what they hold, and the parts of a step. Shared by
// scheduler.cc (steps), dispatch.cc (what starts), endings.cc (what ended) and recover.cc.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/json_fwd.h"
#include "scheduler/attempt.h"
#include "scheduler/plan.h"
#include "scheduler/queue.h"
#include "scheduler/scheduler.h"

namespace flywheel::scheduler {

// Attempts of a run so far, as the ledger has them.
struct Attempts {
  int started = 0, failed = 0;
  // Of this process: ended by the machine in a row without a new checkpoint, and how far all runs were at the first.
  int ended_by_machine = 0;
  int64_t gains_before = 0;
};

struct Waiting {
  Job job;
  Request request;
  Attempts attempts;
};

// A run that the machine ended: it waits before it is tried again.
struct Resting {
  Job job;
  Attempts attempts;
  double until_seconds = 0;  // Clock
};

struct Active {
  Job job;
  Attempt attempt;
  Attempts attempts;
  int width = 1;                  // cores that it holds, or needs
  std::vector<int> slots = {};    // indices of cores that it holds; empty: adopted when none was free
  Resources held = {.cores = 0};  // taken off the capacity
  double flops_reserved = 0;      // what was left to spend when it started
  double since_seconds = 0;       // Clock, at the start or the adoption
  double earlier_seconds = 0;     // of this attempt before the adoption, as its events tell
  double last_event_seconds = 0;
  bool asked_to_stop = false;
  bool stalled = false;
  int64_t kept_step = 0;  // at its start
};

// The pause after one of `before` seconds; 0: the first.
inline double next_pause(double before, const Limits& limits) {
  return before <= 0 ? limits.first_pause_seconds : std::min(2 * before, limits.longest_pause_seconds);
}

struct Scheduler::State {
  ledger::Ledger& ledger;
  Runner& runner;
  Clock& clock;
  const Path runs_directory;
  const Limits limits;
  std::function<void(const Progress&)> subscriber;

  // The goal.
  std::unordered_set<std::string> wanted;  // those that have not ended
  Deadline deadline;
  Filler filler;
  Status status = Status::kFinished;
  bool interrupted = false;
  std::optional<double> stopping_since;  // Clock
  int done = 0, failed = 0;

  std::map<int64_t, Waiting> waiting;                 // by order of being asked for
  std::unordered_map<std::string, int64_t> order_of;  // of those
  Queue queue;                                        // wanted ones
  Queue leftovers;                                    // unfinished runs of earlier goals, which are no longer wanted
  std::map<std::string, std::unique_ptr<Active>> active;
  std::map<std::string, Resting> resting;

  // What the machine does.
  double starts_held_until = 0, start_pause_seconds = 0;  // Clock; 0: starts work
  std::optional<double> held_since;                       // Clock: nothing runs for it
  double held_seconds = 0, held_in_a_row_seconds = 0;     // not taken yet; since a run went on
  int64_t gains = 0;                                      // checkpoints and ends of runs
  std::string trouble;
  bool stuck = false;
  int64_t next_order = 0;

  // Running sums.
  Resources capacity;
  std::set<int> free_slots;
  Resources held = {.cores = 0};
  double reserved_flops = 0;
  double spent_flops = 0;  // of the ledger, as budgets are charged
  int wanted_active = 0;

  double ended_busy_seconds = 0;
  double next_events_seconds = 0, next_progress_seconds = 0, next_filler_seconds = 0;
  Effort effort;

  State(ledger::Ledger& l, Runner& r, Clock& c, Path d, const Limits& m)
      : ledger(l), runner(r), clock(c), runs_directory(std::move(d)), limits(m) {}

  Path directory(const std::string& run) const { return runs_directory / run; }
  bool is_wanted(const std::string& run) const { return wanted.contains(run); }

  // ---- dispatch.cc: from being asked for to being started ---------------------------------------------------------
  // Waiting runs that need more memory or GPUs than there are now end here.
  void read_capacity();
  int width(const Job& job) const;
  Room room();
  // Queues a planned run; steps before its checkpoint are not counted.
  void wait(Job job, Attempts attempts);
  Waiting take(int64_t order);
  void move_wanted_to_leftovers();
  // A run record for each new id; jobs that can never fit end here.
  void submit(std::vector<Job> jobs);
  void start(Waiting waiting);
  Active& activate(std::unique_ptr<Active> child, int cores);
  void start_what_fits();
  std::optional<Waiting> next_filler(const Room& room);
  bool wanted_can_go_on();
  // The machine could not start `run`: no run is started for a pause.
  void hold_starts(const std::string& run, const std::string& reason);
  bool wanted_rests() const;
  void wake_rested();

  // ---- endings.cc: from an event to a record ----------------------------------------------------------------------
  void handle(const std::vector<RunnerEvent>& events);
  // Polls the events of all runs when due, and kills stalled ones.
  void read_events();
  void end(Active& child, int exit_code);
  void end_failed(Active& child, const std::string& reason, bool may_repeat);
  void went_on();
  void end_by_machine(Active& child, const std::string& reason);
  void record_attempt(const Active& child, protocol::AttemptState state, const std::string& reason, double seconds);
  void release(Active& child, bool again, double pause_seconds = 0);  // destroys `child`
  // `record` has the fields that events determine; the others are filled in.
  void finish(const Job& job, ledger::RunFinished record, protocol::RunState state, const std::string& reason,
              double seconds);
  void forget_wanted(const std::string& run, bool as_done);
  double slot_seconds(const Active& active) const;

  // ---- scheduler.cc: steps ----------------------------------------------------------------------------------------
  void react();
  void begin_stopping();
  // Moves the deadline by the time in which nothing could run.
  void count_held_time();
  double stopping_ends() const { return *stopping_since + 2 * limits.grace_seconds + 1; }
  double seconds_to_wait(double most_seconds) const;
  void publish(bool now);
  Progress progress() const;
};

}  // namespace flywheel::scheduler
