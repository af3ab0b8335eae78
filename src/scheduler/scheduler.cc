// The steps between plan and runner. Every one leaves ledger and run directories such that recover() can go on from
// there.
#include "scheduler/scheduler.h"

#include <algorithm>
#include <utility>

#include "scheduler/state.h"

namespace flywheel::scheduler {
namespace {

constexpr double kProgressSeconds = 0.25;
constexpr double kStopSeconds = 0.2;  // run() asks so often whether it should stop

}  // namespace

void Scheduler::State::begin_stopping() {
  for (auto& [run, child] : active) {
    child->asked_to_stop = true;
    runner.stop(run, limits.grace_seconds);
  }
  stopping_since = clock.now_seconds();
}

// Everything that follows from what has happened, waiting excepted.
void Scheduler::State::react() {
  read_events();
  count_held_time();
  wake_rested();
  const double now = clock.now_seconds();
  publish(false);
  if (stopping_since) {
    // A killed process that the kernel does not let go (a dead disk) must not hold the lab: the next one finds it.
    if (!active.empty() && now < stopping_ends()) return;
    stopping_since.reset();
    status = wanted.empty() ? Status::kFinished
             : interrupted  ? Status::kInterrupted
             : stuck        ? Status::kHeld
                            : Status::kOutOfBudget;
    if (wanted.empty()) publish(true);
    return;
  }
  const bool late = !wanted.empty() && deadline.at_clock_seconds != 0 && now >= deadline.at_clock_seconds;
  std::error_code ignored;
  const bool is_away =
      held_in_a_row_seconds > limits.most_away_seconds && !std::filesystem::exists(runs_directory, ignored);
  if (held_in_a_row_seconds > limits.most_held_seconds || is_away) stuck = true;
  if (interrupted || late || (stuck && !wanted.empty())) {
    begin_stopping();
    return react();
  }
  if (wanted.empty()) {
    status = Status::kFinished;
    publish(true);
    return;
  }
  start_what_fits();
  if (wanted.empty()) return react();  // the last one was found to have ended
  if (active.empty() && !wanted_can_go_on()) status = Status::kOutOfBudget;
}

double Scheduler::State::seconds_to_wait(double most_seconds) const {
  const double now = clock.now_seconds();
  double until = now + most_seconds;
  if (!active.empty()) until = std::min(until, next_events_seconds);
  if (subscriber) until = std::min(until, next_progress_seconds);
  if (stopping_since) until = std::min(until, stopping_ends());
  if (starts_held_until > now) until = std::min(until, starts_held_until);
  for (const auto& [run, rest] : resting) until = std::min(until, rest.until_seconds);
  if (!stopping_since && deadline.at_clock_seconds != 0) until = std::min(until, deadline.at_clock_seconds);
  if (filler && next_filler_seconds > now) until = std::min(until, next_filler_seconds);
  return std::max(0.0, until - now);
}

void Scheduler::State::count_held_time() {
  const double now = clock.now_seconds();
  if (held_since) {
    const double seconds = now - *held_since;
    held_seconds += seconds;
    held_in_a_row_seconds += seconds;
    if (deadline.at_clock_seconds != 0) deadline.at_clock_seconds += seconds;
  }
  const bool held_now = active.empty() && !wanted.empty() && !stopping_since &&
                        (now < starts_held_until || (wanted_rests() && queue.first(room(), Fit::kNow) == nullptr));
  held_since = held_now ? std::optional(now) : std::nullopt;
}

void Scheduler::State::publish(bool now) {
  if (!subscriber || (!now && clock.now_seconds() < next_progress_seconds)) return;
  next_progress_seconds = clock.now_seconds() + kProgressSeconds;
  subscriber(progress());
}

Progress Scheduler::State::progress() const {
  Progress progress;
  progress.done = done;
  progress.failed = failed;
  progress.running = wanted_active;
  progress.waiting = static_cast<int>(wanted.size()) - wanted_active;
  for (const auto& [run, child] : active) {
    const double seconds = clock.now_seconds() - child->since_seconds + child->earlier_seconds;
    const protocol::RunOutcome& outcome = child->attempt.outcome();
    progress.active.push_back({run, child->job.stage.text(), child->job.rung_flops, child->attempt.fraction(),
                               outcome.train_loss, outcome.bits_per_byte.value_or(0), seconds,
                               child->attempt.seconds_left(seconds, child->job.expected_seconds)});
  }
  return progress;
}

Scheduler::Scheduler(ledger::Ledger& ledger, Runner& runner, Clock& clock, Path runs_directory, Limits limits)
    : state_(std::make_unique<State>(ledger, runner, clock, std::move(runs_directory), limits)) {
  state_->read_capacity();
  state_->spent_flops = ledger.spend().flops();
  ++state_->effort.ledger_scans;
}
Scheduler::~Scheduler() = default;

void Scheduler::on_progress(std::function<void(const Progress&)> subscriber) {
  state_->subscriber = std::move(subscriber);
}

void Scheduler::begin(std::vector<Job> wanted, const Deadline& deadline, Filler filler) {
  State& s = *state_;
  s.move_wanted_to_leftovers();
  s.deadline = deadline;
  s.filler = std::move(filler);
  s.status = Status::kWorking;
  s.interrupted = false;
  s.stopping_since.reset();
  s.held_since.reset();
  s.held_in_a_row_seconds = 0;
  s.stuck = false;
  flywheel::create_directories(s.runs_directory);
  s.done = s.failed = 0;
  s.next_events_seconds = s.next_filler_seconds = s.next_progress_seconds = 0;
  // Nobody watched the fillers since the last goal: their silence counts from now.
  for (auto& [run, child] : s.active) child->last_event_seconds = s.clock.now_seconds();
  s.spent_flops = s.ledger.spend().flops();
  ++s.effort.ledger_scans;
  s.handle(s.runner.wait(0));
  s.read_events();
  s.submit(std::move(wanted));
}

Status Scheduler::step(double most_seconds) {
  State& s = *state_;
  if (s.status != Status::kWorking) return s.status;
  s.handle(s.runner.wait(0));
  s.react();
  if (s.status != Status::kWorking || most_seconds <= 0) return s.status;
  s.handle(s.runner.wait(s.seconds_to_wait(most_seconds)));
  s.react();
  return s.status;
}

void Scheduler::interrupt() {
  state_->interrupted = true;
  state_->status = Status::kWorking;
}

Status Scheduler::run(std::vector<Job> wanted, const Deadline& deadline, const std::function<bool()>& should_stop,
                      Filler filler) {
  begin(std::move(wanted), deadline, std::move(filler));
  Status status = Status::kWorking;
  while (status == Status::kWorking) {
    if (should_stop && !state_->interrupted && should_stop()) interrupt();
    status = step(kStopSeconds);
  }
  return status;
}

void Scheduler::stop_all() {
  interrupt();
  while (step(kStopSeconds) == Status::kWorking) {
  }
}

const std::string& Scheduler::held_by() const {
  return state_->trouble;
}

double Scheduler::take_held_seconds() {
  return std::exchange(state_->held_seconds, 0);
}

void Scheduler::postpone(double seconds) {
  if (state_->deadline.at_clock_seconds != 0) state_->deadline.at_clock_seconds += seconds;
}

Progress Scheduler::progress() const {
  return state_->progress();
}

Effort Scheduler::effort() const {
  Effort effort = state_->effort;
  effort.requests_examined = state_->queue.examined() + state_->leftovers.examined();
  return effort;
}

double Scheduler::busy_slot_seconds() const {
  double seconds = state_->ended_busy_seconds;
  for (const auto& [run, child] : state_->active)
    seconds += (state_->clock.now_seconds() - child->since_seconds) * static_cast<double>(child->slots.size());
  return seconds;
}

}  // namespace flywheel::scheduler
