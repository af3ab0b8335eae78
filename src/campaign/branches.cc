// Which ladder run goes on from which: one stable phase gives points on several rungs (docs/branched-decays.md).
#include "campaign/state.h"
#include "protocol/run_events.h"

namespace flywheel::campaign {
namespace {

void remove_stable(const Path& run_directory) {
  std::error_code ignored;  // gone already, or it stays: it only takes space
  std::filesystem::remove(run_directory / protocol::kStableFile, ignored);
}

}  // namespace

std::optional<ledger::RunRow> Campaign::State::finished_trunk(const std::string& run) const {
  std::error_code ignored;
  if (!std::filesystem::exists(options.lab / "runs" / run / protocol::kStableFile, ignored)) return std::nullopt;
  const auto row = ledger.run(run);
  return row && row->state == "done" ? row : std::nullopt;
}

Planned Campaign::State::branched(Planned planned) const {
  const LadderRun full = ladder_run(options.recipe, planned.ladder.size, planned.rung_flops);
  planned.ladder = full;
  planned.trunk.clear();
  const auto go_on_from = [&](const Planned& trunk) {
    const auto run = branched_run(options.recipe, full, trunk.ladder);
    if (!run || run->new_flops >= planned.ladder.new_flops) return;
    planned.ladder = *run;
    planned.trunk = trunk.id;
  };
  if (const auto row = ledger.run(planned.id)) {
    const auto decided =
        known.find(json_field_or<std::string>(ledger.record(row->record)->payload, "branch", "", "run"));
    if (decided != known.end()) go_on_from(decided->second);
    return planned;
  }
  if (!options.branching) return planned;
  for (const auto& [id, trunk] : known)
    if (trunk.lends && trunk.replicate == planned.replicate && trunk.multiplier == planned.multiplier &&
        trunk.rung_flops < planned.rung_flops && trunk.ladder.size.width == full.size.width && finished_trunk(id))
      go_on_from(trunk);
  return planned;
}

bool Campaign::State::lost_its_trunk(const Planned& planned) const {
  if (planned.trunk.empty()) return false;
  const auto row = ledger.run(planned.id);
  return row && row->state == "failed" && row->reason.starts_with("input: branch");
}

Planned Campaign::State::in_full(Planned planned) const {
  planned.id += "-full";
  planned.trunk.clear();
  planned.ladder = ladder_run(options.recipe, planned.ladder.size, planned.rung_flops);
  return planned;
}

std::vector<LadderRun> Campaign::State::trunks() const {
  std::vector<LadderRun> runs;
  if (!options.branching) return runs;
  for (const auto& [id, planned] : known)
    if (planned.lends && planned.replicate == 0 && finished_trunk(id)) runs.push_back(planned.ladder);
  return runs;
}

void Campaign::State::release_trunks() const {
  for (const auto& [id, planned] : known)
    if (!planned.trunk.empty() && (!planned.lends || finished_trunk(id)))
      if (const auto row = ledger.run(id); row && row->state == "done")
        remove_stable(options.lab / "runs" / planned.trunk);
}

void Campaign::State::release_all_trunks() const {
  for (const auto& [id, planned] : known)
    if (planned.lends) remove_stable(options.lab / "runs" / id);
}

void Campaign::State::say_what_branching_saved() {
  double whole = 0, spent = 0;
  int branches = 0;
  for (const ledger::RunRow& row : ledger.runs()) {
    const auto found = known.find(row.run);
    if (row.state != "done" || found == known.end() || !on_the_ladder(row)) continue;
    whole += row.flops;
    spent += found->second.ladder.new_flops;
    branches += found->second.trunk.empty() ? 0 : 1;
  }
  if (branches == 0) return;
  const Json saved{{"what", "branching"}, {"branches", branches}, {"ladder_flops", whole}, {"trained_flops", spent}};
  const auto notes = ledger.records("note");
  if (std::none_of(notes.begin(), notes.end(),
                   [](const auto& r) { return r.payload.value("what", "") == "branching"; }))
    ledger.append("note", saved);
  say(fmt::format(
      "{} runs went on from shorter ones of their size: the ladder's points took {} instead of {} ({:.0f}% less)",
      branches, format_flops(spent), format_flops(whole), 100 * (1 - spent / whole)));
}

}  // namespace flywheel::campaign
