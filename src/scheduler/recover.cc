// After a kill -9 of the lab, the runs or both: what the ledger calls unfinished is compared with what the run
// directories and the runner know, and either adopted, ingested, or queued again.
#include <algorithm>

#include "base/log.h"
#include "scheduler/state.h"

namespace flywheel::scheduler {
namespace {

Job job_of(const ledger::RunRow& row, recipe::RunSpec spec) {
  Job job;
  job.spec = std::move(spec);
  job.stage = row.stage;
  job.rung_flops = row.rung_flops;
  job.expected_seconds = row.reserved_seconds;
  return job;
}

}  // namespace

void Scheduler::recover() {
  State& s = *state_;
  for (const ledger::RunRow& row : s.ledger.runs()) {
    if (row.ended() || row.gave_up()) continue;
    const Path folder = s.directory(row.run);
    std::error_code ignored;
    // Planned, and the lab ended before its folder was made: nothing happened yet, the campaign asks for it again.
    if (!std::filesystem::exists(folder / protocol::kSpecFile, ignored)) {
      if (row.state == "running")
        s.ledger.append("attempt", {{"run", row.run}, {"state", "lost"}, {"reason", "lost: its folder is gone"}});
      continue;
    }
    Job job = job_of(row, recipe::load_run_spec(folder / protocol::kSpecFile));
    const auto plan = s.ledger.record(row.record);
    if (plan) job.memory_bytes = json_field_or<uint64_t>(plan->payload, "memory_bytes", 0, "run record");
    if (row.state != "running") {
      s.wait(std::move(job));
      continue;
    }
    const auto start = s.ledger.record(row.start_record);
    const int64_t events_before =
        start ? json_field_or<int64_t>(start->payload, "events_before", 0, "start record") : 0;
    Attempt attempt(job.spec, folder, events_before);
    auto child = std::make_unique<Active>(Active{std::move(job), std::move(attempt), {}});
    child->since_seconds = child->last_event_seconds = s.clock.now_seconds();
    child->earlier_seconds = child->attempt.event_seconds();
    child->flops_reserved = recipe::new_training_flops(child->job.spec.recipe, child->job.spec.size) *
                                (1 - child->attempt.kept_fraction()) +
                            child->attempt.spent_flops();
    // With fewer slots than before it may go on without one.
    const std::vector<int> free = s.free_slots();
    for (const int slot : free)
      if (std::ssize(child->slots) < s.width(child->job)) child->slots.push_back(slot);
    const bool alive = s.runner.adopt(row.run, folder);
    Active& found = *(s.active[row.run] = std::move(child));
    if (alive) {
      spdlog::info("run {}: its process is still alive and goes on", row.run);
    } else {
      s.end(found, -1);
    }
  }
}

}  // namespace flywheel::scheduler
