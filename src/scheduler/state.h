// The scheduler's inside: what waits, what runs, and the steps of its loop. Shared by scheduler.cc and recover.cc.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "scheduler/attempt.h"
#include "scheduler/plan.h"
#include "scheduler/scheduler.h"

namespace flywheel::scheduler {

struct Waiting {
  Candidate candidate;
  Job job;
};

struct Active {
  Job job;
  Attempt attempt;
  std::vector<int> slots;      // indices; empty: an adopted child for which no slot was free
  double flops_reserved = 0;   // what it had to train when it started
  double since_seconds = 0;    // Clock, at the start or the adoption
  double earlier_seconds = 0;  // of this attempt before the adoption, as its events tell
  double last_event_seconds = 0;
  bool asked_to_stop = false;
  bool stalled = false;
};

struct Scheduler::State {
  ledger::Ledger& ledger;
  Runner& runner;
  Clock& clock;
  Path runs_directory;
  Limits limits;

  std::vector<Waiting> waiting;  // in the order of starts_before
  std::map<std::string, std::unique_ptr<Active>> active;
  std::set<std::string> wanted;  // ids of the current call that have not ended
  int64_t next_order = 0;
  double spent_flops = 0;  // of the ledger
  double constructed_seconds = 0, ended_busy_seconds = 0;
  double next_event_poll_seconds = 0, next_progress_seconds = 0, next_filler_seconds = 0;
  int done = 0, failed = 0;

  State(ledger::Ledger& l, Runner& r, Clock& c, Path d, Limits m)
      : ledger(l), runner(r), clock(c), runs_directory(std::move(d)), limits(std::move(m)) {}

  Path directory(const std::string& run) const { return runs_directory / run; }
  int width(const Job& job) const;
  std::vector<int> free_slots() const;
  std::vector<int> cpus_of(const std::vector<int>& slots) const;
  Room room(const Deadline& deadline);
  double slot_seconds(const Active& active);

  // Puts a planned run in the queue, its checkpoint taken into account.
  void wait(Job job);
  std::optional<Job> take(const std::string& run);
  // A run record for each new id; jobs that can never fit end here.
  void submit(const std::vector<Job>& jobs);
  void start(const Waiting& waiting);
  // Reads events and exits; records what ended; kills what stalled.
  void poll();
  void end(Active& child, int exit_code);
  void end_failed(Active& child, const std::string& reason, bool may_repeat);
  void record_attempt(Active& child, const char* state, const std::string& reason, double seconds);
  void release(Active& child, bool again);  // ends its life: `child` is gone afterwards
  void finish(const Job& job, Json fields, const char* state, const std::string& reason, double seconds);
  void fill(const Deadline& deadline, const std::function<std::optional<Job>(double)>& filler);
  std::optional<Waiting> next_filler(const Room& room, const std::function<std::optional<Job>(double)>& filler);
  bool wanted_can_go_on(const Deadline& deadline);
  void stop_all();
  Progress progress();
};

}  // namespace flywheel::scheduler
