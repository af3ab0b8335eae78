// The loop between plan and runner. Every step leaves ledger and run directories such that recover() can go on from
// there.
#include "scheduler/scheduler.h"

#include <signal.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "scheduler/state.h"

namespace flywheel::scheduler {
namespace {

// Events are read this often; exits are seen at every poll.
constexpr double kEventSeconds = 0.2;
constexpr double kProgressSeconds = 0.25;
constexpr double kFillerSeconds = 1.0;

void check_id(const std::string& id) {
  const bool plain = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
  if (!plain || id.empty() || id[0] == '.')
    throw_bad_input("run id: expected letters, digits and \"._-\", not starting with a dot, found \"{}\"", id);
}

Json run_record(const Job& job) {
  const recipe::Counts counts = count(job.spec.recipe, job.spec.size);
  Json record{{"run", job.spec.id},
              {"stage", job.stage},
              {"rung_flops", job.rung_flops},
              {"recipe_hash", recipe::recipe_hash(job.spec.recipe)},
              {"seed", job.spec.seed},
              {"data_seed", job.spec.data_seed},
              {"parameters", counts.matrix_parameters},
              {"total_parameters", counts.parameters},
              {"tokens", job.spec.size.tokens()},
              {"flops", recipe::training_flops(job.spec.recipe, job.spec.size)},
              {"reserved_seconds", job.expected_seconds},
              {"memory_bytes", job.memory_bytes}};
  if (!job.spec.branch.empty()) {
    record["branch"] = job.spec.branch.filename().string();
    record["new_flops"] = recipe::new_training_flops(job.spec.recipe, job.spec.size);
  }
  return record;
}

}  // namespace

int Scheduler::State::width(const Job& job) const {
  return std::clamp(job.spec.threads, 1, limits.slots);
}

std::vector<int> Scheduler::State::free_slots() const {
  std::vector<bool> used(static_cast<size_t>(limits.slots));
  for (const auto& [run, child] : active)
    for (const int slot : child->slots) used[static_cast<size_t>(slot)] = true;
  std::vector<int> free;
  for (int slot = 0; slot < limits.slots; ++slot)
    if (!used[static_cast<size_t>(slot)]) free.push_back(slot);
  return free;
}

// Cores are dealt to slots evenly; with more slots than cores, slots share.
std::vector<int> Scheduler::State::cpus_of(const std::vector<int>& slots) const {
  std::set<int> cpus;
  const size_t n = limits.cpus.size(), total = static_cast<size_t>(limits.slots);
  for (const int slot : slots) {
    if (n == 0) continue;
    const size_t i = static_cast<size_t>(slot);
    if (total >= n) {
      cpus.insert(limits.cpus[i % n]);
    } else {
      for (size_t c = i * n / total; c < (i + 1) * n / total; ++c) cpus.insert(limits.cpus[c]);
    }
  }
  return {cpus.begin(), cpus.end()};
}

double Scheduler::State::slot_seconds(const Active& child) {
  return (clock.now_seconds() - child.since_seconds + child.earlier_seconds) * width(child.job);
}

Room Scheduler::State::room(const Deadline& deadline) {
  Room room;
  room.free_slots = static_cast<int>(free_slots().size());
  if (deadline.at_clock_seconds != 0) room.seconds = deadline.at_clock_seconds - clock.now_seconds();
  if (deadline.flops != 0) room.flops = deadline.flops - spent_flops;
  if (limits.memory_bytes != 0) room.memory_bytes = limits.memory_bytes;
  for (const auto& [run, child] : active) {
    room.flops -= child->flops_reserved;
    room.memory_bytes -= std::min(room.memory_bytes, child->job.memory_bytes);
  }
  return room;
}

void Scheduler::State::wait(Job job) {
  // What its checkpoint holds need not be trained, or reserved, again.
  const Attempt earlier(job.spec, directory(job.spec.id), -1);
  const double left = 1 - earlier.kept_fraction();
  Candidate candidate;
  candidate.priority = job.priority;
  candidate.expected_seconds = job.expected_seconds * left;
  candidate.flops = recipe::new_training_flops(job.spec.recipe, job.spec.size) * left;
  candidate.slots = width(job);
  candidate.memory_bytes = job.memory_bytes;
  candidate.order = next_order++;
  const auto place =
      std::upper_bound(waiting.begin(), waiting.end(), candidate,
                       [](const Candidate& c, const Waiting& w) { return starts_before(c, w.candidate); });
  waiting.insert(place, {candidate, std::move(job)});
}

std::optional<Job> Scheduler::State::take(const std::string& run) {
  const auto found =
      std::find_if(waiting.begin(), waiting.end(), [&](const Waiting& w) { return w.job.spec.id == run; });
  if (found == waiting.end()) return std::nullopt;
  Job job = std::move(found->job);
  waiting.erase(found);
  return job;
}

void Scheduler::State::submit(const std::vector<Job>& jobs) {
  std::vector<std::pair<std::string, Json>> records;
  std::set<std::string> seen;
  std::vector<Job> add;
  for (const Job& job : jobs) {
    const std::string& id = job.spec.id;
    check_id(id);
    if (!seen.insert(id).second) continue;
    const auto row = ledger.run(id);
    if (row && row->ended()) {
      (row->state == "done" ? done : failed) += 1;
      continue;
    }
    if (row && row->gave_up() && job.spec.stop_above) {  // it gave up in the meantime, as it was told to
      ++done;
      continue;
    }
    wanted.insert(id);
    if (const auto child = active.find(id); child != active.end()) {
      child->second->job = job;
      continue;
    }
    if (!row) records.emplace_back("run", run_record(job));
    if (row) take(id);
    add.push_back(job);
  }
  ledger.append_all(records);
  for (Job& job : add) {
    if (limits.memory_bytes != 0 && job.memory_bytes > limits.memory_bytes) {
      finish(job, Json::object(), "failed",
             fmt::format("memory: needs {} bytes, {} are allowed for all runs", job.memory_bytes, limits.memory_bytes),
             0);
    } else {
      wait(std::move(job));
    }
  }
}

void Scheduler::State::start(const Waiting& w) {
  const std::string& id = w.job.spec.id;
  const Path folder = directory(id);
  flywheel::create_directories(folder);
  const std::string spec = to_json(w.job.spec).dump(1) + "\n";
  std::error_code ignored;
  if (!std::filesystem::exists(folder / protocol::kSpecFile, ignored) ||
      real_file_system().read(folder / protocol::kSpecFile) != spec)
    real_file_system().write_atomic(folder / protocol::kSpecFile, spec);

  auto child = std::make_unique<Active>(Active{w.job, Attempt(w.job.spec, folder, -1), {}});
  if (child->attempt.done()) {
    // It went on while the lab took it for lost.
    Json fields = child->attempt.finish_fields();
    fields["attempt_flops"] = 0;
    return finish(w.job, std::move(fields), "done", "", 0);
  }
  child->slots = free_slots();
  child->slots.resize(std::min(child->slots.size(), static_cast<size_t>(w.candidate.slots)));
  child->flops_reserved = w.candidate.flops;
  const auto row = ledger.run(id);
  ledger.append("start", {{"run", id},
                          {"attempt", (row ? row->attempts : 0) + 1},
                          {"events_before", child->attempt.events_before()},
                          {"slots", child->slots}});
  child->since_seconds = child->last_event_seconds = clock.now_seconds();
  Active& started = *(active[id] = std::move(child));
  try {
    runner.start(id, folder, cpus_of(started.slots));
  } catch (const Error& e) {
    const std::string reason = fmt::format("crash: {}", e.what());
    spdlog::warn("run {}: {}", id, reason);
    end_failed(started, reason, /*may_repeat=*/true);
  }
}

void Scheduler::State::finish(const Job& job, Json fields, const char* state, const std::string& reason,
                              double seconds) {
  fields["run"] = job.spec.id;
  fields["state"] = state;
  fields["seconds"] = seconds;
  if (!reason.empty()) fields["reason"] = reason;
  if (json_field_or<uint64_t>(fields, "predicted_memory_bytes", 0, "finish") == 0)
    fields["predicted_memory_bytes"] = job.memory_bytes;
  if (ledger.finish_run(fields) == ledger::Recording::kRecorded)
    spent_flops += json_field_or<double>(fields, "attempt_flops", 0, "finish");
  if (wanted.erase(job.spec.id) > 0) (std::string_view(state) == "done" ? done : failed) += 1;
}

void Scheduler::State::end_failed(Active& child, const std::string& reason, bool may_repeat) {
  const std::string id = child.job.spec.id;
  const double seconds = slot_seconds(child);
  const auto row = ledger.run(id);
  const bool repeat = may_repeat && row && row->failed_attempts + 1 < limits.max_attempts;
  if (repeat) {
    spdlog::warn("run {}: {}; it is tried again", id, reason);
    record_attempt(child, "failed", reason, seconds);
  } else {
    spdlog::warn("run {} failed: {}", id, reason);
    finish(child.job, child.attempt.finish_fields(), "failed", reason, seconds);
  }
  release(child, repeat);
}

void Scheduler::State::record_attempt(Active& child, const char* state, const std::string& reason, double seconds) {
  const auto row = ledger.run(child.job.spec.id);
  ledger.append("attempt", {{"run", child.job.spec.id},
                            {"attempt", row ? row->attempts : 1},
                            {"state", state},
                            {"reason", reason},
                            {"seconds", seconds},
                            {"flops", child.attempt.spent_flops()},
                            {"curve", child.attempt.finish_fields().at("curve")}});
  spent_flops += child.attempt.spent_flops();
}

// The slot is free again; `again`: the run waits once more.
void Scheduler::State::release(Active& child, bool again) {
  ended_busy_seconds += (clock.now_seconds() - child.since_seconds) * static_cast<double>(child.slots.size());
  Job job = std::move(child.job);
  active.erase(job.spec.id);
  next_filler_seconds = 0;
  if (again) wait(std::move(job));
}

void Scheduler::State::end(Active& child, int exit_code) {
  child.attempt.poll();
  Ending ending = ending_of(child.attempt, exit_code, child.asked_to_stop);
  if (child.stalled && ending.what != Ending::What::kDone)
    ending = {Ending::What::kFailedMayRepeat, fmt::format("stalled: no event for {:.0f} s", limits.stall_seconds)};
  switch (ending.what) {
    case Ending::What::kDone:
      finish(child.job, child.attempt.finish_fields(), "done", "", slot_seconds(child));
      release(child, false);
      break;
    case Ending::What::kStopped:
    case Ending::What::kLost:
      record_attempt(child, ending.what == Ending::What::kLost ? "lost" : "stopped", ending.reason,
                     slot_seconds(child));
      release(child, true);
      break;
    case Ending::What::kGaveUp: {
      record_attempt(child, "stopped", ending.reason, slot_seconds(child));
      const std::string id = child.job.spec.id;
      release(child, false);
      if (wanted.erase(id) > 0) ++done;
      break;
    }
    case Ending::What::kFailedMayRepeat:
    case Ending::What::kFailedForGood:
      end_failed(child, ending.reason, ending.what == Ending::What::kFailedMayRepeat);
  }
}

void Scheduler::State::poll() {
  for (const RunnerExit& exit : runner.poll())
    if (const auto child = active.find(exit.run); child != active.end()) end(*child->second, exit.exit_code);
  const double now = clock.now_seconds();
  if (now < next_event_poll_seconds) return;
  next_event_poll_seconds = now + kEventSeconds;
  for (auto& [run, child] : active) {
    if (child->attempt.poll()) child->last_event_seconds = now;
    if (!child->stalled && now - child->last_event_seconds > limits.stall_seconds) {
      child->stalled = true;
      runner.signal(run, SIGKILL);
    }
  }
}

// Leftovers of an earlier lab first, then what the campaign thinks of.
std::optional<Waiting> Scheduler::State::next_filler(const Room& room,
                                                     const std::function<std::optional<Job>(double)>& filler) {
  for (const Waiting& w : waiting)
    if (!wanted.contains(w.job.spec.id) && fits(w.candidate, room) == Fit::kNow) {
      Waiting found = w;
      take(found.job.spec.id);
      return found;
    }
  const double now = clock.now_seconds();
  if (now < next_filler_seconds) return std::nullopt;
  double until_free = 0;
  for (const auto& [run, child] : active)
    if (wanted.contains(run))
      until_free = std::max(until_free, child->attempt.seconds_left(now - child->since_seconds + child->earlier_seconds,
                                                                    child->job.expected_seconds));
  next_filler_seconds = now + kFillerSeconds;
  const std::optional<Job> job = filler(until_free);
  // One that is known already (running, waiting or ended) cannot fill the slot.
  if (!job || ledger.run(job->spec.id)) return std::nullopt;
  check_id(job->spec.id);
  Candidate candidate;
  candidate.priority = job->priority;
  candidate.expected_seconds = job->expected_seconds;
  candidate.flops = recipe::new_training_flops(job->spec.recipe, job->spec.size);
  candidate.slots = width(*job);
  candidate.memory_bytes = job->memory_bytes;
  candidate.order = next_order++;
  if (fits(candidate, room) != Fit::kNow) return std::nullopt;
  ledger.append("run", run_record(*job));
  next_filler_seconds = 0;
  return Waiting{candidate, *job};
}

void Scheduler::State::fill(const Deadline& deadline, const std::function<std::optional<Job>(double)>& filler) {
  if (free_slots().empty()) return;
  std::vector<Candidate> candidates;
  std::vector<std::string> ids;
  for (const Waiting& w : waiting)
    if (wanted.contains(w.job.spec.id)) {
      candidates.push_back(w.candidate);
      ids.push_back(w.job.spec.id);
    }
  Room left = room(deadline);
  for (const size_t i : plan(candidates, left)) {
    if (std::optional<Job> job = take(ids[i])) start({candidates[i], std::move(*job)});
    ids[i].clear();
  }
  // Wanted ones that wait for slots or memory come before fillers; when none can ever start, the call is about to end.
  if (!wanted_can_go_on(deadline)) return;
  left = room(deadline);
  for (size_t i = 0; i < ids.size(); ++i)
    if (!ids[i].empty() && fits(candidates[i], left) != Fit::kNotInBudget) return;
  while (filler && left.free_slots > 0) {
    const std::optional<Waiting> next = next_filler(left, filler);
    if (!next) return;
    start(*next);
    left = room(deadline);
  }
}

// False when nothing wanted runs and nothing wanted fits the budget: waiting would not help.
bool Scheduler::State::wanted_can_go_on(const Deadline& deadline) {
  for (const auto& [run, child] : active)
    if (wanted.contains(run)) return true;
  const Room left = room(deadline);
  return std::any_of(waiting.begin(), waiting.end(), [&](const Waiting& w) {
    return wanted.contains(w.job.spec.id) && fits(w.candidate, left) != Fit::kNotInBudget;
  });
}

void Scheduler::State::stop_all() {
  for (auto& [run, child] : active) {
    child->asked_to_stop = true;
    runner.signal(run, SIGTERM);
  }
  const double begin = clock.now_seconds();
  bool killed = false;
  while (!active.empty()) {
    poll();
    if (active.empty()) return;
    const double waited = clock.now_seconds() - begin;
    if (!killed && waited > limits.grace_seconds) {
      for (auto& [run, child] : active) runner.signal(run, SIGKILL);
      killed = true;
    }
    // A killed process that the kernel does not let go (a dead disk) must not hold the lab: the next one finds it.
    if (waited > 2 * limits.grace_seconds + 1) return;
    clock.sleep_seconds(limits.poll_seconds);
  }
}

Progress Scheduler::State::progress() {
  Progress progress;
  progress.done = done;
  progress.failed = failed;
  for (const auto& [run, child] : active) {
    progress.running += wanted.contains(run) ? 1 : 0;
    const double seconds = clock.now_seconds() - child->since_seconds + child->earlier_seconds;
    const protocol::RunOutcome& outcome = child->attempt.outcome();
    progress.active.push_back({run, child->job.stage, child->job.rung_flops, child->attempt.fraction(),
                               outcome.train_loss, outcome.bits_per_byte.value_or(0), seconds,
                               child->attempt.seconds_left(seconds, child->job.expected_seconds)});
  }
  progress.waiting = static_cast<int>(wanted.size()) - progress.running;
  return progress;
}

Scheduler::Scheduler(ledger::Ledger& ledger, Runner& runner, Clock& clock, Path runs_directory, Limits limits)
    : state_(std::make_unique<State>(ledger, runner, clock, std::move(runs_directory), std::move(limits))) {
  if (state_->limits.slots < 1) throw_bad_input("slots: expected at least 1, found {}", state_->limits.slots);
  state_->constructed_seconds = clock.now_seconds();
  state_->spent_flops = ledger.spend().train_flops;
}
Scheduler::~Scheduler() = default;

Verdict Scheduler::run(const std::vector<Job>& wanted, const Deadline& deadline,
                       const std::function<bool()>& should_stop,
                       const std::function<void(const Progress&)>& on_progress,
                       const std::function<std::optional<Job>(double)>& filler) {
  State& s = *state_;
  s.wanted.clear();
  s.done = s.failed = 0;
  s.next_event_poll_seconds = s.next_filler_seconds = s.next_progress_seconds = 0;
  // Nobody watched the fillers between two calls: their silence counts from now.
  for (auto& [run, child] : s.active) child->last_event_seconds = s.clock.now_seconds();
  s.spent_flops = s.ledger.spend().train_flops;
  s.poll();
  s.submit(wanted);
  while (true) {
    s.poll();
    if (on_progress && s.clock.now_seconds() >= s.next_progress_seconds) {
      s.next_progress_seconds = s.clock.now_seconds() + kProgressSeconds;
      on_progress(s.progress());
    }
    if (s.wanted.empty()) break;
    const bool interrupted = should_stop && should_stop();
    const bool late = deadline.at_clock_seconds != 0 && s.clock.now_seconds() >= deadline.at_clock_seconds;
    if (interrupted || late) {
      s.stop_all();
      if (s.wanted.empty()) break;
      return interrupted ? Verdict::kInterrupted : Verdict::kOutOfBudget;
    }
    s.fill(deadline, filler);
    if (s.active.empty() && !s.wanted_can_go_on(deadline)) return Verdict::kOutOfBudget;
    s.clock.sleep_seconds(s.limits.poll_seconds);
  }
  if (on_progress) on_progress(s.progress());
  return Verdict::kFinished;
}

void Scheduler::stop_all() {
  state_->stop_all();
}

double Scheduler::busy_slot_seconds() const {
  double seconds = state_->ended_busy_seconds;
  for (const auto& [run, child] : state_->active)
    seconds += (state_->clock.now_seconds() - child->since_seconds) * static_cast<double>(child->slots.size());
  return seconds;
}
double Scheduler::passed_slot_seconds() const {
  return (state_->clock.now_seconds() - state_->constructed_seconds) * state_->limits.slots;
}

}  // namespace flywheel::scheduler
