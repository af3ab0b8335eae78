// One attempt at a run, followed through its events: progress, FLOPs spent, how it ended.
#pragma once

#include <optional>
#include <string>

#include "base/json_fwd.h"
#include "ledger/records/run.h"
#include "protocol/run_events.h"
#include "protocol/run_work.h"

namespace flywheel::scheduler {

class Attempt {
 public:
  // `events_before`: events in the file that belong to earlier attempts; negative: all that are there now.
  Attempt(protocol::RunWork work, const Path& run_directory, int64_t events_before);

  // Reads new events; true when there were any.
  bool poll();

  const protocol::RunOutcome& outcome() const { return outcome_; }
  int64_t events_before() const { return events_before_; }
  bool done() const { return outcome_.state == protocol::RunOutcome::State::kDone; }
  std::optional<std::string> failure() const { return failure_; }  // of this attempt
  std::optional<std::string> gave_up() const { return gave_up_; }  // of this attempt, by the stopping rule of its spec
  bool said_anything() const { return first_t_.has_value(); }      // this attempt
  bool made_progress() const { return furthest_step_ > resumed_step_ || spent_before_ > 0; }
  // Fraction of the steps that the run itself trains; a trunk's steps do not count.
  double fraction() const;
  double kept_fraction() const;          // the same at the last checkpoint
  int64_t kept_step() const;             // of that checkpoint, or where the run begins
  double event_seconds() const;          // between this attempt's first and last event
  double spent_flops() const;            // by this attempt, including work since the last checkpoint
  double spent_optimizer_flops() const;  // likewise
  double spent_evaluation_flops() const;
  // Adds what it did since its last event, since it was killed before it could say so: as much as it trains and
  // evaluates in these seconds, at most up to the end of its next evaluation.
  void charge_unreported(double seconds_since_event, double expected_seconds);
  double seconds_left(double attempt_seconds, double expected_seconds) const;

  // A finish record with the fields that events determine.
  ledger::RunFinished finished() const;
  std::vector<ledger::RunCurvePoint> curve() const;

 private:
  void apply(const protocol::RunEvent& event);
  double flops(int64_t step) const;  // of the model's whole history
  double own_fraction(int64_t step) const;

  protocol::EventTail tail_;
  protocol::RunOutcome outcome_;
  protocol::RunWork work_;
  double own_flops_;
  int64_t events_before_;
  int64_t events_ = 0;
  std::optional<double> first_t_;
  double last_t_ = 0;
  int64_t resumed_step_ = 0, furthest_step_ = 0, checkpoint_step_ = 0;
  // Before its last "start" event: steps that this attempt made, FLOPs that it spent.
  int64_t steps_before_ = 0;
  double spent_before_ = 0;
  double unreported_steps_ = 0, unreported_evaluations_ = 0;
  int64_t evaluations_ = 0;  // that it made, on the split of the run
  std::optional<std::string> failure_, gave_up_;
};

// How an attempt ended, which decides whether the run is tried again.
struct Ending {
  enum class What { kDone, kStopped, kGaveUp, kLost, kByMachine, kFailedMayRepeat, kFailedForGood } what = What::kDone;
  std::string reason;
};
// `asked_to_stop`: by the scheduler. Reproducible failures (diverged, input) are final; what the machine did (a kill, a
// full disk, too little memory, a lock) says nothing of the run.
Ending ending_of(const Attempt& attempt, int exit_code, bool asked_to_stop);

}  // namespace flywheel::scheduler
