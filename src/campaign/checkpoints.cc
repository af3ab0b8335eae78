#include "campaign/checkpoints.h"

#include <algorithm>
#include <map>
#include <vector>

#include "campaign/branches.h"
#include "campaign/points.h"

namespace flywheel::campaign {
namespace {

constexpr size_t kBestKept = 3;  // of each group: the best one, and two in its stead where a disk spoils its file

// Of a checkpoint that a run goes on from, over that of its weights alone: two moments beside each.
constexpr double kStateFactor = 3;
constexpr double kLogBytes = 100e3;  // of a run: events, spec, sums of documents

double weight_bytes(const workload::SizedRun& size) {
  return size.artifact_bytes > 0 ? size.artifact_bytes : sizeof(float) * size.total_parameters;
}

// The runs that the end of a campaign, or a reader of it, takes as the best: those of the ladder, and before there are
// any, of each configuration that was trained.
std::set<std::string> best_runs(const ledger::Ledger& ledger) {
  std::map<std::string, std::vector<const ledger::RunRow*>> groups;
  bool ladder = false;
  for (const ledger::RunRow& row : ledger.runs()) {
    if (row.state != protocol::RunState::kDone || !row.bits_per_byte) continue;
    const bool on_ladder = on_the_ladder(row);
    if (on_ladder && !ladder) groups.clear();
    ladder = ladder || on_ladder;
    if (on_ladder == ladder) groups[ladder ? "" : row.recipe_hash].push_back(&row);
  }
  std::set<std::string> kept;
  for (auto& [group, rows] : groups) {
    const size_t count = std::min(kBestKept, rows.size());
    std::partial_sort(
        rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(count), rows.end(), [](const auto* a, const auto* b) {
          return a->rung_flops != b->rung_flops ? a->rung_flops > b->rung_flops : *a->bits_per_byte < *b->bits_per_byte;
        });
    for (size_t i = 0; i < count; ++i) kept.insert(rows[i]->run);
  }
  return kept;
}

}  // namespace

void Checkpoints::release() {
  const ledger::Spend spend = lab_.ledger.spend();
  const auto ended = static_cast<size_t>(spend.runs_done);
  if (ended == ended_) return;
  ended_ = ended;
  remove_unneeded(false);
}

void Checkpoints::release_all() {
  remove_unneeded(true);
}

void Checkpoints::remove_unneeded(bool at_end) {
  if (lab_.options.keep_checkpoints) return;
  const std::set<std::string> best = best_runs(lab_.ledger);
  for (const ledger::RunRow& row : lab_.ledger.runs()) {
    const bool done = row.state == protocol::RunState::kDone;
    if (!at_end && (!done || row.stage == protocol::Stage::kGain)) continue;
    if (at_end && !done && !row.gave_up() && !row.reason.starts_with("diverged:")) continue;
    if (best.contains(row.run) || !removed_.insert(row.run).second) continue;
    remove_checkpoints(lab_.runs() / row.run);
  }
}

double predicted_disk_bytes(int slots, const workload::SizedRun& largest, const std::vector<workload::SizedRun>& trunks,
                            size_t runs) {
  double bytes = 2.0 * slots * kStateFactor * weight_bytes(largest) + kBestKept * weight_bytes(largest);
  for (const workload::SizedRun& trunk : trunks) bytes += kStateFactor * weight_bytes(trunk);
  return bytes + kLogBytes * static_cast<double>(runs);
}

std::string disk_in_words(const Path& lab, double needed_bytes) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(lab, error);
  const std::string need = fmt::format("needs about {} of disk", format_bytes(needed_bytes));
  if (error) return need;
  const auto available = static_cast<double>(space.available);
  return fmt::format("{}, {} are free{}", need, format_bytes(available),
                     available > needed_bytes ? ""
                                              : ": too little, runs will fail when it is full; free some, or stop this "
                                                "and take a smaller budget");
}

}  // namespace flywheel::campaign
