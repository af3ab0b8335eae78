// From a requested job to a process: records, the queue, and which run starts next.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/host/ownership.h"
#include "base/log.h"
#include "scheduler/state.h"

namespace flywheel::scheduler {
namespace {

constexpr double kFillerSeconds = 1.0;

void check_id(const std::string& id) {
  check_entry_name(id, "run id");
}

ledger::RunPlanned run_record(const Job& job) {
  ledger::RunPlanned record{.run = job.id,
                            .stage = job.stage,
                            .rung_flops = job.rung_flops,
                            .recipe_hash = job.configuration,
                            .seed = job.seed,
                            .data_seed = job.data_seed,
                            .parameters = job.parameters,
                            .total_parameters = job.total_parameters,
                            .tokens = job.tokens,
                            .flops = job.flops,
                            .reserved_seconds = job.expected_seconds,
                            .memory_bytes = job.needs.memory_bytes,
                            .segments = job.segments,
                            .branch = {},
                            .new_flops = {},
                            .optimizer_flops = {},
                            .lookup_bytes = {},
                            .artifact_bytes = {}};
  if (!job.branch.empty()) {
    record.branch = job.branch;
    record.new_flops = job.new_flops;
  }
  if (job.work.optimizer_flops_per_step > 0)
    record.optimizer_flops = job.work.optimizer_flops_per_step * static_cast<double>(job.work.steps);
  if (job.lookup_bytes > 0) record.lookup_bytes = job.lookup_bytes;
  if (job.artifact_bytes > 0) record.artifact_bytes = job.artifact_bytes;
  return record;
}

// `left`: of what it trains itself; `step`: from which it goes on.
Request request_of(const Job& job, int width, double left, int64_t step, int64_t order) {
  Request request;
  request.priority = job.priority;
  request.expected_seconds = job.expected_seconds * left;
  request.flops = job.flops_left(left, step);
  request.needs = job.needs;
  request.needs.cores = width;
  request.order = order;
  return request;
}

// The folder of a run with its spec. It lies in a folder that is there: a lab that was moved or deleted meanwhile is
// not made again.
void make_ready(const Path& folder, const std::string& spec) {
  std::error_code error;
  std::filesystem::create_directory(folder, error);
  if (error)
    throw_failed("cannot make the folder {}: {}{}", folder.string(), error.message(),
                 std::filesystem::exists(folder.parent_path(), error) ? "" : " (was the lab moved or deleted?)");
  const Path file = folder / protocol::kSpecFile;
  std::string there;
  try {
    if (std::filesystem::exists(file, error)) there = real_file_system().read(file);
  } catch (const Error&) {
    there.clear();  // it is written again
  }
  if (there != spec) real_file_system().write_atomic(file, spec);
}

// Why it could never start; empty: it could.
std::string refusal(const Resources& needs, const Resources& capacity) {
  if (capacity.memory_bytes != 0 && needs.memory_bytes > capacity.memory_bytes)
    return fmt::format("memory: needs {} bytes, {} are allowed for all runs", needs.memory_bytes,
                       capacity.memory_bytes);
  if (needs.gpus > capacity.gpus)
    return fmt::format("input: needs {} GPUs, {} are there for all runs", needs.gpus, capacity.gpus);
  return "";
}

}  // namespace

void Scheduler::State::read_capacity() {
  const int cores_before = capacity.cores;
  capacity = runner.capacity();
  free_slots.clear();
  for (int slot = 0; slot < capacity.cores; ++slot) free_slots.insert(slot);
  for (const auto& [run, child] : active)
    for (const int slot : child->slots) free_slots.erase(slot);
  std::vector<int64_t> never;  // orders of those that no longer fit at all
  for (auto& [order, w] : waiting) {
    if (!refusal(w.job.needs, capacity).empty()) never.push_back(order);
    if (capacity.cores == cores_before || w.request.needs.cores == width(w.job)) continue;
    Queue& its_queue = is_wanted(w.job.id) ? queue : leftovers;
    its_queue.erase(w.request);
    w.request.needs.cores = width(w.job);
    its_queue.insert(w.request);
  }
  for (const int64_t order : never) {
    const Waiting w = take(order);
    finish(w.job, {}, protocol::RunState::kFailed, refusal(w.job.needs, capacity), 0);
  }
}

int Scheduler::State::width(const Job& job) const {
  return std::clamp(job.needs.cores, 1, std::max(1, capacity.cores));
}

Room Scheduler::State::room() {
  Room room;
  room.free_cores = std::min(static_cast<int>(free_slots.size()), capacity.cores - held.cores);
  room.free_gpus = capacity.gpus - held.gpus;
  if (deadline.at_clock_seconds != 0) room.seconds = deadline.at_clock_seconds - clock.now_seconds();
  if (deadline.flops != 0) room.flops = deadline.flops - spent_flops;
  room.flops -= reserved_flops;
  if (capacity.memory_bytes != 0) room.memory_bytes = capacity.memory_bytes;
  room.memory_bytes -= std::min(room.memory_bytes, held.memory_bytes);
  return room;
}

void Scheduler::State::wait(Job job, Attempts attempts) {
  // What its checkpoint holds need not be trained, or reserved, again.
  const Attempt earlier(job.work, directory(job.id), -1);
  const Request request = request_of(job, width(job), 1 - earlier.kept_fraction(), earlier.kept_step(), next_order++);
  (is_wanted(job.id) ? queue : leftovers).insert(request);
  order_of[job.id] = request.order;
  waiting.emplace(request.order, Waiting{std::move(job), request, attempts});
}

Waiting Scheduler::State::take(int64_t order) {
  auto node = waiting.extract(order);
  Waiting w = std::move(node.mapped());
  (is_wanted(w.job.id) ? queue : leftovers).erase(w.request);
  order_of.erase(w.job.id);
  return w;
}

void Scheduler::State::move_wanted_to_leftovers() {
  for (const auto& [order, w] : waiting)
    if (is_wanted(w.job.id)) leftovers.insert(w.request);
  queue.clear();
  wanted.clear();
  wanted_active = 0;
}

void Scheduler::State::submit(std::vector<Job> jobs) {
  for (const Job& job : jobs) check_id(job.id);
  std::vector<ledger::NewRecord> records;
  std::unordered_set<std::string> seen;
  std::vector<std::pair<Job, Attempts>> add;
  for (Job& job : jobs) {
    const std::string id = job.id;
    if (!seen.insert(id).second) continue;
    const auto row = ledger.run(id);
    if (row && row->ended()) {
      (row->state == protocol::RunState::kDone ? done : failed) += 1;
      continue;
    }
    if (row && row->gave_up() && job.may_give_up) {  // it gave up in the meantime, as it was told to
      ++done;
      continue;
    }
    if (const auto child = active.find(id); child != active.end()) {
      wanted.insert(id);
      ++wanted_active;
      child->second->job = std::move(job);
      continue;
    }
    if (const auto rest = resting.find(id); rest != resting.end()) {
      wanted.insert(id);
      rest->second.job = std::move(job);
      continue;
    }
    if (const auto order = order_of.find(id); order != order_of.end()) take(order->second);
    wanted.insert(id);
    if (!row) records.emplace_back(run_record(job));
    const Attempts attempts = row ? Attempts{row->attempts, row->failed_attempts} : Attempts{};
    add.emplace_back(std::move(job), attempts);
  }
  ledger.append_all(records);
  for (auto& [job, attempts] : add) {
    if (const std::string reason = refusal(job.needs, capacity); !reason.empty()) {
      finish(job, {}, protocol::RunState::kFailed, reason, 0);
    } else {
      wait(std::move(job), attempts);
    }
  }
}

// Takes what the run holds off what is free: `cores` of them, or as many as there are.
Active& Scheduler::State::activate(std::unique_ptr<Active> child, int cores) {
  while (std::ssize(child->slots) < cores && !free_slots.empty()) {
    child->slots.push_back(*free_slots.begin());
    free_slots.erase(free_slots.begin());
  }
  child->held = {static_cast<int>(child->slots.size()), child->job.needs.memory_bytes, child->job.needs.gpus};
  held.cores += child->held.cores;
  held.memory_bytes += child->held.memory_bytes;
  held.gpus += child->held.gpus;
  reserved_flops += child->flops_reserved;
  wanted_active += is_wanted(child->job.id) ? 1 : 0;
  child->since_seconds = child->last_event_seconds = clock.now_seconds();
  const std::string run = child->job.id;
  return *(active[run] = std::move(child));
}

void Scheduler::State::start(Waiting w) {
  const std::string id = w.job.id;
  const Path folder = directory(id);
  try {
    make_ready(folder, w.job.spec);
  } catch (const std::runtime_error& e) {
    wait(std::move(w.job), w.attempts);
    return hold_starts(id, e.what());
  }
  Attempt attempt(w.job.work, folder, -1);
  if (attempt.done()) {
    // The run continued although it had been recorded as lost.
    ledger::RunFinished record = attempt.finished();
    record.measured->attempt_flops = 0;
    record.measured->optimizer_flops.reset();
    record.measured->evaluation_flops.reset();
    return finish(w.job, std::move(record), protocol::RunState::kDone, "", 0);
  }
  ++effort.starts;
  const Launch launch{id, folder, w.request.needs, w.job.command};
  const int cores = w.request.needs.cores;
  auto child = std::make_unique<Active>(Active{std::move(w.job), std::move(attempt), w.attempts, cores});
  child->flops_reserved = w.request.flops;
  child->attempts.started += 1;
  child->kept_step = child->attempt.kept_step();
  // The record is written before anything is held or started: what it throws leaves nothing behind.
  std::vector<int> slots;
  for (auto slot = free_slots.begin(); slot != free_slots.end() && std::ssize(slots) < cores; ++slot)
    slots.push_back(*slot);
  ledger.append(ledger::RunStarted{
      .run = id, .attempt = child->attempts.started, .events_before = child->attempt.events_before(), .slots = slots});
  Active& started = activate(std::move(child), cores);
  try {
    runner.start(launch);
    start_pause_seconds = 0;
  } catch (const std::runtime_error& e) {
    record_attempt(started, protocol::AttemptState::kLost, fmt::format("not started: {}", e.what()), 0);
    release(started, /*again=*/true);
    hold_starts(id, e.what());
  }
}

void Scheduler::State::hold_starts(const std::string& run, const std::string& reason) {
  start_pause_seconds = next_pause(start_pause_seconds, limits);
  starts_held_until = clock.now_seconds() + start_pause_seconds;
  trouble = fmt::format("run {} could not be started: {}", run, reason);
  log_warning("{}; the next try is in {:.0f} s", trouble, start_pause_seconds);
}

bool Scheduler::State::wanted_rests() const {
  return std::any_of(resting.begin(), resting.end(), [this](const auto& entry) { return is_wanted(entry.first); });
}

void Scheduler::State::wake_rested() {
  const double now = clock.now_seconds();
  for (auto entry = resting.begin(); entry != resting.end();) {
    if (entry->second.until_seconds > now) {
      ++entry;
      continue;
    }
    Resting rested = std::move(entry->second);
    entry = resting.erase(entry);
    wait(std::move(rested.job), rested.attempts);
  }
}

// Unfinished runs of earlier goals first, then jobs of the campaign's filler.
std::optional<Waiting> Scheduler::State::next_filler(const Room& room) {
  if (const Request* leftover = leftovers.first(room, Fit::kNow)) return take(leftover->order);
  const double now = clock.now_seconds();
  if (now < next_filler_seconds) return std::nullopt;
  double until_free = 0;
  for (const auto& [run, child] : active)
    if (is_wanted(run))
      until_free = std::max(until_free, child->attempt.seconds_left(now - child->since_seconds + child->earlier_seconds,
                                                                    child->job.expected_seconds));
  next_filler_seconds = now + kFillerSeconds;
  std::optional<Job> job = filler(until_free);
  // One that is known already (running, waiting or ended) cannot fill the slot.
  if (!job || ledger.run(job->id)) return std::nullopt;
  check_id(job->id);
  const Request request = request_of(*job, width(*job), 1, job->work.first_step, next_order++);
  if (fits(request, room) != Fit::kNow) return std::nullopt;
  ledger.append(run_record(*job));
  next_filler_seconds = 0;
  return Waiting{std::move(*job), request, {}};
}

void Scheduler::State::start_what_fits() {
  const auto is_held = [this] { return clock.now_seconds() < starts_held_until; };
  Room left = room();
  if (left.free_cores <= 0 || is_held()) return;
  // Again where a run could not be started: it waits for its next attempt.
  for (std::vector<Request> chosen = plan(queue, left); !chosen.empty(); chosen = plan(queue, room()))
    for (const Request& request : chosen) {
      if (is_held()) return;
      start(take(request.order));
    }
  if (!filler || !wanted_can_go_on()) return;  // when nothing wanted can ever start, the goal is about to end
  left = room();
  // Wanted ones that wait for resources come before fillers.
  if (queue.first(left, Fit::kWhenOthersEnd) != nullptr) return;
  while (left.free_cores > 0) {
    std::optional<Waiting> next = next_filler(left);
    if (!next) return;
    start(std::move(*next));
    if (is_held()) return;
    left = room();
  }
}

// False when nothing wanted runs and nothing wanted fits the budget: waiting would not help.
bool Scheduler::State::wanted_can_go_on() {
  return wanted_active > 0 || wanted_rests() || queue.first(room(), Fit::kWhenOthersEnd) != nullptr;
}

}  // namespace flywheel::scheduler
