// Recovery after a kill of the lab, the runs or both: runs unfinished in the ledger are compared with the run
// directories and the runner, then adopted, recorded as ended, or queued again.
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "scheduler/state.h"

namespace flywheel::scheduler {
namespace {

// What the ledger knows of the run is taken from there.
Job job_of(const ledger::Ledger& ledger, const ledger::RunRow& row, const std::string& spec,
           const Scheduler::Rebuild& rebuild) {
  Job job = rebuild(row, spec);
  job.id = row.run;
  job.spec = spec;
  job.stage = row.stage;
  job.rung_flops = row.rung_flops;
  job.expected_seconds = row.reserved_seconds;
  job.configuration = row.recipe_hash;
  job.seed = row.seed;
  job.data_seed = row.data_seed;
  job.parameters = row.parameters;
  job.tokens = row.tokens;
  job.flops = job.new_flops = row.flops;
  if (const auto planned = ledger.at<ledger::RunPlanned>(row.record)) {
    job.total_parameters = planned->value.total_parameters;
    job.branch = planned->value.branch.value_or("");
    job.new_flops = planned->value.new_flops.value_or(row.flops);
  }
  return job;
}

}  // namespace

void Scheduler::recover(const Rebuild& rebuild) {
  State& s = *state_;
  ++s.effort.ledger_scans;
  const std::vector<ledger::RunRow> rows = s.ledger.runs();  // what follows appends
  for (const ledger::RunRow& row : rows) {
    if (row.ended() || row.gave_up()) continue;
    const Path folder = s.directory(row.run);
    std::error_code ignored;
    // Planned, and the lab ended before its folder was made: nothing happened yet, the campaign asks for it again.
    if (!std::filesystem::exists(folder / protocol::kSpecFile, ignored)) {
      if (row.state == protocol::RunState::kRunning)
        s.ledger.append(ledger::AttemptEnded{.run = row.run,
                                             .state = protocol::AttemptState::kLost,
                                             .reason = "lost: its folder is gone",
                                             .measured = {}});
      continue;
    }
    std::optional<Job> known;
    try {
      known = job_of(s.ledger, row, real_file_system().read(folder / protocol::kSpecFile), rebuild);
    } catch (const Error& e) {
      // Its spec is written again when the campaign asks for the run; a process that still works on it holds its lock.
      log_warning("run {}: {}; the file is replaced", row.run, e.what());
      if (row.state == protocol::RunState::kRunning)
        s.ledger.append(ledger::AttemptEnded{.run = row.run,
                                             .state = protocol::AttemptState::kLost,
                                             .reason = "lost: its spec.json is damaged",
                                             .measured = {}});
      continue;
    }
    Job job = std::move(*known);
    const Attempts attempts{row.attempts, row.failed_attempts};
    if (row.state != protocol::RunState::kRunning) {
      s.wait(std::move(job), attempts);
      continue;
    }
    const auto start = s.ledger.at<ledger::RunStarted>(row.start_record);
    const int64_t events_before = start ? start->value.events_before : 0;
    Attempt attempt(job.work, folder, events_before);
    const int width = s.width(job);
    auto child = std::make_unique<Active>(Active{std::move(job), std::move(attempt), attempts, width});
    child->earlier_seconds = child->attempt.event_seconds();
    child->flops_reserved = child->job.flops_left(1 - child->attempt.kept_fraction(), child->attempt.kept_step()) +
                            child->attempt.finished().measured->all_attempt_flops();
    Resources needs = child->job.needs;
    needs.cores = width;
    const bool alive = s.runner.adopt(row.run, folder, needs);
    Active& found = s.activate(std::move(child), width);
    if (alive) {
      log_info("run {}: its process is still alive and goes on", row.run);
    } else {
      s.end(found, -1);
    }
  }
}

}  // namespace flywheel::scheduler
