// One attempt at a run as its events tell it: how far it is, what it spent, how it ended.
#pragma once

#include <optional>
#include <string>

#include "ledger/ledger.h"
#include "protocol/run_events.h"
#include "recipe/run_spec.h"

namespace flywheel::scheduler {

class Attempt {
 public:
  // `events_before`: events in the file that belong to earlier attempts; negative: all that are there now.
  Attempt(const recipe::RunSpec& spec, const Path& run_directory, int64_t events_before);

  // Reads what is new; true when there was something.
  bool poll();

  const protocol::RunOutcome& outcome() const { return outcome_; }
  int64_t events_before() const { return events_before_; }
  bool done() const { return outcome_.state == protocol::RunOutcome::State::kDone; }
  std::optional<std::string> failure() const { return failure_; }  // of this attempt
  std::optional<std::string> gave_up() const { return gave_up_; }  // by its spec's stop_above, likewise
  bool made_progress() const { return trained_sequences() > 0; }
  // Of what the run itself has to train, a trunk's part (recipe/phases.h) left out.
  double fraction() const;
  double kept_fraction() const;  // of it, at the last checkpoint
  double event_seconds() const;  // between this attempt's first and last event
  double spent_flops() const;    // trained by this attempt, work that will be lost included
  double seconds_left(double attempt_seconds, double expected_seconds) const;

  // The fields of a finish record that the events tell.
  Json finish_fields() const;

 private:
  void apply(const protocol::RunEvent& event);
  double sequences(int64_t step) const;  // of the model's whole history
  double own_sequences() const { return sequences(size_.steps) - static_cast<double>(size_.trunk_sequences); }
  double own_fraction(int64_t step) const;
  double trained_sequences() const;  // by this attempt

  protocol::EventTail tail_;
  protocol::RunOutcome outcome_;
  recipe::Size size_;
  double sequence_flops_;
  int64_t events_before_;
  int64_t events_ = 0;
  std::optional<double> first_t_;
  double last_t_ = 0;
  int64_t resumed_step_ = 0, furthest_step_ = 0, checkpoint_step_ = 0;
  double trained_before_ = 0;  // sequences of this attempt before its last "start"
  std::optional<std::string> failure_, gave_up_;
};

// How an attempt ended, and what follows.
struct Ending {
  enum class What { kDone, kStopped, kGaveUp, kLost, kFailedMayRepeat, kFailedForGood } what = What::kDone;
  std::string reason;
};
// `asked_to_stop`: by us. Failures that would come again (diverged, memory, input) are final.
Ending ending_of(const Attempt& attempt, int exit_code, bool asked_to_stop);

}  // namespace flywheel::scheduler
