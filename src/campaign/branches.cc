#include "campaign/branches.h"

#include "base/error.h"
#include "campaign/points.h"
#include "protocol/run_files.h"

namespace flywheel::campaign {
namespace {

void remove_stable(const Path& run_directory) {
  std::error_code ignored;  // a checkpoint that cannot be deleted only takes space
  std::filesystem::remove(run_directory / protocol::kStableFile, ignored);
}

}  // namespace

void remove_checkpoints(const Path& run_directory) {
  std::error_code ignored;
  for (const char* name : {protocol::kCheckpointFile, protocol::kPreviousCheckpointFile})
    std::filesystem::remove(run_directory / name, ignored);
}

std::optional<ledger::RunRow> Branches::finished_trunk(const std::string& run) const {
  std::error_code ignored;
  if (!std::filesystem::exists(lab_.runs() / run / protocol::kStableFile, ignored)) return std::nullopt;
  const auto row = lab_.ledger.run(run);
  return row && row->state == protocol::RunState::kDone ? row : std::nullopt;
}

PlannedRun Branches::branched(PlannedRun run) const {
  const workload::SizedRun full = lab_.workload.resized(*run.configuration, run.size, run.rung_flops);
  run.size = full;
  run.trunk.clear();
  const auto go_on_from = [&](const PlannedRun& trunk) {
    const auto branch = lab_.workload.branched(*run.configuration, full, trunk.size);
    if (!branch || branch->new_flops >= run.size.new_flops) return;
    run.size = *branch;
    run.trunk = trunk.id;
  };
  if (const auto row = lab_.ledger.run(run.id)) {
    const auto planned = lab_.ledger.at<ledger::RunPlanned>(row->record);
    const PlannedRun* trunk = planned && planned->value.branch ? book_.find(*planned->value.branch) : nullptr;
    if (trunk != nullptr) go_on_from(*trunk);
    return run;
  }
  if (!lab_.options.branching) return run;
  for (const auto& [id, trunk] : book_.all())
    if (trunk.keeps_trunk && trunk.replicate == run.replicate && trunk.rung_flops < run.rung_flops &&
        trunk.size.model == full.model && finished_trunk(id))
      go_on_from(trunk);
  return run;
}

bool Branches::lost_its_trunk(const PlannedRun& run) const {
  if (run.trunk.empty()) return false;
  const auto row = lab_.ledger.run(run.id);
  return row && row->state == protocol::RunState::kFailed && row->reason.starts_with("input: branch");
}

PlannedRun Branches::in_full(PlannedRun run) const {
  run.id += kInFull;
  run.trunk.clear();
  run.size = lab_.workload.resized(*run.configuration, run.size, run.rung_flops);
  return run;
}

std::vector<workload::SizedRun> Branches::trunks() const {
  std::vector<workload::SizedRun> runs;
  if (!lab_.options.branching) return runs;
  for (const auto& [id, run] : book_.all())
    if (run.keeps_trunk && run.replicate == 0 && finished_trunk(id)) runs.push_back(run.size);
  return runs;
}

void Branches::release() const {
  for (const auto& [id, run] : book_.all())
    if (!run.trunk.empty() && (!run.keeps_trunk || finished_trunk(id)))
      if (const auto row = lab_.ledger.run(id); row && row->state == protocol::RunState::kDone)
        remove_stable(lab_.runs() / run.trunk);
}

void Branches::release_all() const {
  for (const auto& [id, run] : book_.all())
    if (run.keeps_trunk) remove_stable(lab_.runs() / id);
}

void Branches::report_savings() const {
  ledger::BranchingNote note;
  for (const ledger::RunRow& row : lab_.ledger.runs()) {
    const PlannedRun* run = book_.find(row.run);
    if (row.state != protocol::RunState::kDone || run == nullptr || !on_the_ladder(row)) continue;
    note.ladder_flops += row.flops;
    note.trained_flops += run->size.new_flops;
    note.branches += run->trunk.empty() ? 0 : 1;
  }
  if (note.branches == 0) return;
  if (!lab_.ledger.last<ledger::BranchingNote>()) lab_.ledger.append(note);
  lab_.say(fmt::format(
      "{} runs went on from shorter ones of their size: the ladder's points took {} instead of {} ({:.0f}% less)",
      note.branches, format_flops(note.trained_flops), format_flops(note.ladder_flops),
      100 * (1 - note.trained_flops / note.ladder_flops)));
}

}  // namespace flywheel::campaign
