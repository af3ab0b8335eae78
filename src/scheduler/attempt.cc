#include "scheduler/attempt.h"

#include <signal.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"

namespace flywheel::scheduler {
namespace {

int64_t step_of(const protocol::RunEvent& event) {
  const auto found = event.fields.find("step");
  return found != event.fields.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

// Whether an evaluation is on this split; those of other splits are the trainer's own affair.
bool is_on(const protocol::RunEvent& event, const std::string& split) {
  const auto found = event.fields.find("split");
  return found == event.fields.end() || !found->is_string() || found->get<std::string>() == split;
}

// Signals that a program brings upon itself.
bool is_a_crash(int signal_number) {
  return signal_number == SIGSEGV || signal_number == SIGABRT || signal_number == SIGFPE || signal_number == SIGILL ||
         signal_number == SIGTRAP || signal_number == SIGSYS;
}

// Empty where the trainer's optimizer, or its evaluations, are not counted.
std::optional<double> counted(double flops) {
  return flops > 0 ? std::optional(flops) : std::nullopt;
}

}  // namespace

Attempt::Attempt(protocol::RunWork work, const Path& run_directory, int64_t events_before)
    : tail_(run_directory / protocol::kEventsFile),
      work_(std::move(work)),
      own_flops_(work_.own_flops()),
      events_before_(events_before < 0 ? INT64_MAX : events_before),
      checkpoint_step_(work_.first_step) {
  poll();
  if (events_before < 0) events_before_ = events_;
}

bool Attempt::poll() {
  std::vector<protocol::RunEvent> events;
  try {
    events = tail_.poll();
  } catch (const Error&) {
    return false;  // a file that cannot be read now says nothing new
  }
  for (const protocol::RunEvent& event : events) apply(event);
  return !events.empty();
}

void Attempt::apply(const protocol::RunEvent& event) {
  protocol::apply_event(outcome_, event);
  const bool ours = ++events_ > events_before_;
  const int64_t step = step_of(event);
  if (event.type == "start") {
    const int64_t resumed = protocol::resumed_step(event);
    checkpoint_step_ = std::min(checkpoint_step_, resumed);
    if (ours) {
      // A trainer may restart within one attempt; what it did before was spent all the same.
      spent_before_ = spent_flops();
      steps_before_ += furthest_step_ - resumed_step_;
      resumed_step_ = furthest_step_ = resumed;
    }
  } else if (event.type == "checkpoint") {
    checkpoint_step_ = step;
  }
  if (!ours) return;
  if (!first_t_) first_t_ = event.t;
  last_t_ = std::max(last_t_, event.t);
  furthest_step_ = std::max(furthest_step_, step);
  if (event.type == "start") gave_up_.reset();
  if (event.type == "eval" && is_on(event, outcome_.eval_split)) ++evaluations_;
  if (event.type == "done" && evaluations_ == 0) evaluations_ = 1;  // a trainer that says only its end
  if (event.type == "failed") failure_ = outcome_.reason;
  if (event.type == "stopped") {
    const auto reason = event.fields.find("reason");
    gave_up_ = reason != event.fields.end() && reason->is_string() ? reason->get<std::string>() : protocol::kGaveUp;
  }
}

double Attempt::flops(int64_t step) const {
  step = std::clamp<int64_t>(step, 0, work_.steps);
  if (step >= work_.first_step) return work_.flops_before(step);
  // A trainer that trains its history itself.
  return work_.history_flops() * static_cast<double>(step) / static_cast<double>(work_.first_step);
}
double Attempt::own_fraction(int64_t step) const {
  if (own_flops_ > 0) return std::clamp(1 - (flops(work_.steps) - flops(step)) / own_flops_, 0.0, 1.0);
  // A trainer whose FLOPs are not known.
  const double own_steps = static_cast<double>(std::max<int64_t>(1, work_.steps - work_.first_step));
  return std::clamp(static_cast<double>(step - work_.first_step) / own_steps, 0.0, 1.0);
}

double Attempt::fraction() const {
  return own_fraction(outcome_.step);
}
double Attempt::kept_fraction() const {
  return own_fraction(checkpoint_step_);
}
int64_t Attempt::kept_step() const {
  return std::clamp(checkpoint_step_, work_.first_step, work_.steps);
}
double Attempt::event_seconds() const {
  return first_t_ ? std::max(0.0, last_t_ - *first_t_) : 0;
}
double Attempt::spent_flops() const {
  const double own_steps = static_cast<double>(std::max<int64_t>(1, work_.steps - work_.first_step));
  return spent_before_ + flops(furthest_step_) - flops(resumed_step_) + own_flops_ * unreported_steps_ / own_steps;
}

double Attempt::spent_optimizer_flops() const {
  return work_.optimizer_flops_per_step *
         (static_cast<double>(steps_before_ + furthest_step_ - resumed_step_) + unreported_steps_);
}

double Attempt::spent_evaluation_flops() const {
  return work_.evaluation_flops * (static_cast<double>(evaluations_) + unreported_evaluations_);
}

void Attempt::charge_unreported(double seconds_since_event, double expected_seconds) {
  const double own_steps = static_cast<double>(std::max<int64_t>(1, work_.steps - work_.first_step));
  const double said_steps = static_cast<double>(furthest_step_ - resumed_step_), said_seconds = event_seconds();
  const double steps_per_second = said_steps > 0.05 * own_steps && said_seconds > 0 ? said_steps / said_seconds
                                  : expected_seconds > 0                            ? own_steps / expected_seconds
                                                                                    : 0;
  if (steps_per_second <= 0 || seconds_since_event <= 0) return;
  const int64_t every = work_.evaluation_every > 0 ? work_.evaluation_every : work_.steps;
  const int64_t next = std::min(work_.steps, (furthest_step_ / every + 1) * every);
  const auto steps_to_evaluation = static_cast<double>(std::max<int64_t>(next - furthest_step_, 0));
  const double steps = seconds_since_event * steps_per_second;
  unreported_steps_ = std::min(steps, steps_to_evaluation);
  const double flops_left = (steps - unreported_steps_) * own_flops_ / own_steps;
  if (work_.evaluation_flops > 0) unreported_evaluations_ = std::min(1.0, flops_left / work_.evaluation_flops);
}

double Attempt::seconds_left(double attempt_seconds, double expected_seconds) const {
  const double trained = own_flops_ > 0 ? spent_flops() / own_flops_ : fraction();
  const double left = 1 - fraction();
  // The first steps are no estimate of the speed, since they include start-up.
  return trained > 0.05 ? left / trained * attempt_seconds : left * expected_seconds;
}

std::vector<ledger::RunCurvePoint> Attempt::curve() const {
  std::vector<ledger::RunCurvePoint> curve;
  for (const auto& point : outcome_.curve)
    curve.push_back({.tokens = point.tokens,
                     .flops = point.flops,
                     .bits_per_byte = point.bits_per_byte,
                     .loss = point.loss,
                     .step = point.step});
  return curve;
}

ledger::RunFinished Attempt::finished() const {
  ledger::RunFinished record;
  record.predicted_memory_bytes = outcome_.predicted_memory_bytes;
  record.measured = {
      .bits_per_byte = outcome_.bits_per_byte,
      .loss = outcome_.loss,
      .sampling = outcome_.sampling,
      .units = outcome_.sampling_units,
      .eval_bytes = {},
      .eval_documents = {},
      .tokens = outcome_.tokens,
      .flops = flops(outcome_.step),
      .attempt_flops = spent_flops(),
      .optimizer_flops = counted(spent_optimizer_flops()),
      .evaluation_flops = counted(spent_evaluation_flops()),
      .train_seconds = outcome_.train_seconds,
      .cpu_seconds = outcome_.cpu_seconds,
      .peak_memory_bytes = outcome_.peak_memory_bytes,
      .precision = outcome_.precision,
      .program = outcome_.program,
      .seconds_by = first_t_ ? outcome_.seconds_by : std::map<std::string, double>{},  // not of an earlier attempt

      .curve = curve()};
  if (outcome_.eval_bytes > 0) record.measured->eval_bytes = outcome_.eval_bytes;
  if (outcome_.eval_documents > 0) record.measured->eval_documents = outcome_.eval_documents;
  return record;
}

Ending ending_of(const Attempt& attempt, int exit_code, bool asked_to_stop) {
  using What = Ending::What;
  if (attempt.done()) return {What::kDone, ""};
  if (const auto failure = attempt.failure()) {
    const auto kind = protocol::failure_kind(*failure);
    if (kind && protocol::is_the_machines(*kind)) return {What::kByMachine, *failure};
    const bool again = kind && protocol::would_fail_again(*kind);
    return {again ? What::kFailedForGood : What::kFailedMayRepeat, *failure};
  }
  if (const auto reason = attempt.gave_up())
    return {What::kGaveUp,
            reason->starts_with(protocol::kGaveUp) ? *reason : fmt::format("{}: {}", protocol::kGaveUp, *reason)};
  if (asked_to_stop) return {What::kStopped, "stopped"};
  if (exit_code == -1) return {What::kLost, "lost: the process is gone and said nothing"};
  const bool stopped =
      exit_code == static_cast<int>(ErrorCode::kStoppedEarly) || exit_code == static_cast<int>(ErrorCode::kInterrupted);
  // Stopped by someone else.
  if (stopped && attempt.made_progress()) return {What::kStopped, fmt::format("stopped: exit code {}", exit_code)};
  if (stopped) return {What::kByMachine, fmt::format("stopped: exit code {} before its first step", exit_code)};
  if (exit_code == static_cast<int>(ErrorCode::kLocked))
    return {What::kByMachine, "locked: another process works on it"};
  if (exit_code > 128 && !is_a_crash(exit_code - 128))
    return {What::kByMachine, fmt::format("killed: by signal {}, which the lab did not send", exit_code - 128)};
  if (exit_code == static_cast<int>(ErrorCode::kBadInput) && !attempt.said_anything())
    return {What::kByMachine,
            fmt::format("input: exit code 2 before its first event, see {} in its folder", protocol::kOutputFile)};
  if (exit_code == static_cast<int>(ErrorCode::kBadInput))
    return {What::kFailedForGood, fmt::format("input: exit code 2, see {} in its folder", protocol::kOutputFile)};
  if (exit_code > 128 && !stopped)
    return {What::kFailedMayRepeat, fmt::format("crash: killed by signal {}", exit_code - 128)};
  return {What::kFailedMayRepeat, fmt::format("crash: exit code {} without a \"done\" event, see {} in its folder",
                                              exit_code, protocol::kOutputFile)};
}

}  // namespace flywheel::scheduler
