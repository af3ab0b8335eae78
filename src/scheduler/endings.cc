// From runner events and run events to the ledger: how attempts end, and whether they are repeated.
#include "base/error.h"
#include "base/log.h"
#include "scheduler/state.h"

namespace flywheel::scheduler {

using protocol::AttemptState;

double Scheduler::State::slot_seconds(const Active& child) const {
  return (clock.now_seconds() - child.since_seconds + child.earlier_seconds) * child.width;
}

void Scheduler::State::handle(const std::vector<RunnerEvent>& events) {
  for (const RunnerEvent& event : events) {
    if (event.what == RunnerEvent::What::kCapacityChanged) {
      read_capacity();
      continue;
    }
    const auto found = active.find(event.run);
    if (found == active.end()) continue;
    Active& child = *found->second;
    if (event.what == RunnerEvent::What::kEnded) {
      end(child, event.exit_code);
    } else if (child.attempt.poll()) {
      child.last_event_seconds = clock.now_seconds();
    }
  }
}

void Scheduler::State::read_events() {
  const double now = clock.now_seconds();
  if (now < next_events_seconds) return;
  next_events_seconds = now + limits.event_seconds;
  for (auto& [run, child] : active) {
    const int64_t kept = child->attempt.kept_step();
    if (child->attempt.poll()) child->last_event_seconds = now;
    if (child->attempt.kept_step() > kept) went_on();
    if (!child->stalled && now - child->last_event_seconds > limits.stall_seconds) {
      child->stalled = true;
      runner.kill(run);
    }
  }
}

void Scheduler::State::end(Active& child, int exit_code) {
  if (child.attempt.poll()) child.last_event_seconds = clock.now_seconds();
  if (exit_code == -1 || exit_code > 128)  // it was killed
    child.attempt.charge_unreported(clock.now_seconds() - child.last_event_seconds, child.job.expected_seconds);
  Ending ending = ending_of(child.attempt, exit_code, child.asked_to_stop);
  const std::string &planned = child.job.segments, &scored = child.attempt.outcome().segments;
  if (ending.what == Ending::What::kDone && !planned.empty() && !scored.empty() && planned != scored)
    ending = {
        Ending::What::kFailedForGood,
        fmt::format("input: it was scored on the list of segments {}, its plan says {}: losses on different text are "
                    "not compared",
                    scored, planned)};
  if (child.stalled && ending.what != Ending::What::kDone)
    ending = {Ending::What::kFailedMayRepeat, fmt::format("stalled: no event for {:.0f} s", limits.stall_seconds)};
  switch (ending.what) {
    case Ending::What::kDone:
      went_on();
      finish(child.job, child.attempt.finished(), protocol::RunState::kDone, "", slot_seconds(child));
      release(child, false);
      break;
    case Ending::What::kStopped:
    case Ending::What::kLost:
      record_attempt(child, ending.what == Ending::What::kLost ? AttemptState::kLost : AttemptState::kStopped,
                     ending.reason, slot_seconds(child));
      release(child, true);
      break;
    case Ending::What::kGaveUp:
      record_attempt(child, AttemptState::kStopped, ending.reason, slot_seconds(child));
      forget_wanted(child.job.id, /*as_done=*/true);
      release(child, false);
      break;
    case Ending::What::kByMachine:
      end_by_machine(child, ending.reason);
      break;
    case Ending::What::kFailedMayRepeat:
    case Ending::What::kFailedForGood:
      end_failed(child, ending.reason, ending.what == Ending::What::kFailedMayRepeat);
  }
}

void Scheduler::State::end_failed(Active& child, const std::string& reason, bool may_repeat) {
  const double seconds = slot_seconds(child);
  const bool repeat = may_repeat && child.attempts.failed + 1 < limits.max_attempts;
  if (repeat) {
    log_warning("run {}: {}; it is tried again", child.job.id, reason);
    record_attempt(child, AttemptState::kFailed, reason, seconds);
    child.attempts.failed += 1;
  } else {
    log_warning("run {} failed: {}", child.job.id, reason);
    finish(child.job, child.attempt.finished(), protocol::RunState::kFailed, reason, seconds);
  }
  release(child, repeat);
}

void Scheduler::State::went_on() {
  ++gains;
  held_in_a_row_seconds = 0;
}

// No failure of the run, unless it alone does not get on.
void Scheduler::State::end_by_machine(Active& child, const std::string& reason) {
  Attempts& attempts = child.attempts;
  if (child.attempt.kept_step() > child.kept_step) attempts.ended_by_machine = 0;
  if (attempts.ended_by_machine++ == 0) attempts.gains_before = gains;
  if (attempts.ended_by_machine >= limits.most_ended_by_machine) {
    if (gains > attempts.gains_before)
      return end_failed(
          child, fmt::format("{} ({} times in a row, while other runs went on)", reason, attempts.ended_by_machine),
          /*may_repeat=*/false);
    stuck = true;
  }
  double pause = 0;
  for (int i = 0; i < attempts.ended_by_machine; ++i) pause = next_pause(pause, limits);
  trouble = fmt::format("run {}: {}", child.job.id, reason);
  log_warning("{}; it is tried again in {:.0f} s", trouble, pause);
  record_attempt(child, AttemptState::kLost, reason, slot_seconds(child));
  release(child, /*again=*/true, pause);
}

void Scheduler::State::record_attempt(const Active& child, AttemptState state, const std::string& reason,
                                      double seconds) {
  ledger::AttemptEnded record{.run = child.job.id, .state = state, .reason = reason, .measured = {}};
  ledger::RunFinished::Measured measured = *child.attempt.finished().measured;
  record.measured = {.attempt = child.attempts.started,
                     .seconds = seconds,
                     .flops = child.attempt.spent_flops(),
                     .optimizer_flops = measured.optimizer_flops,
                     .evaluation_flops = measured.evaluation_flops,
                     .curve = std::move(measured.curve),
                     .seconds_by = std::move(measured.seconds_by)};
  ledger.append(record);
  spent_flops += record.measured->all_flops();
}

void Scheduler::State::finish(const Job& job, ledger::RunFinished record, protocol::RunState state,
                              const std::string& reason, double seconds) {
  record.run = job.id;
  record.state = state;
  record.reason = reason;
  record.seconds = seconds;
  if (record.predicted_memory_bytes == 0) record.predicted_memory_bytes = job.needs.memory_bytes;
  if (ledger.finish_run(record) == ledger::Recording::kRecorded && record.measured)
    spent_flops += record.measured->all_attempt_flops();
  forget_wanted(job.id, state == protocol::RunState::kDone);
}

void Scheduler::State::forget_wanted(const std::string& run, bool as_done) {
  if (wanted.erase(run) == 0) return;
  (as_done ? done : failed) += 1;
  if (active.contains(run)) --wanted_active;
}

// What it held is free again; `again`: the run waits once more.
void Scheduler::State::release(Active& child, bool again, double pause_seconds) {
  ended_busy_seconds += (clock.now_seconds() - child.since_seconds) * static_cast<double>(child.slots.size());
  for (const int slot : child.slots)
    if (slot < capacity.cores) free_slots.insert(slot);
  held.cores -= child.held.cores;
  held.memory_bytes -= child.held.memory_bytes;
  held.gpus -= child.held.gpus;
  reserved_flops -= child.flops_reserved;
  Job job = std::move(child.job);
  const Attempts attempts = child.attempts;
  active.erase(job.id);
  if (active.empty()) reserved_flops = 0;  // no rounding is carried on
  if (is_wanted(job.id)) --wanted_active;
  next_filler_seconds = 0;
  if (!again) return;
  if (pause_seconds > 0) {
    const std::string run = job.id;
    resting.insert_or_assign(run, Resting{std::move(job), attempts, clock.now_seconds() + pause_seconds});
  } else {
    wait(std::move(job), attempts);
  }
}

}  // namespace flywheel::scheduler
