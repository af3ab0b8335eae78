#include "campaign/replicates.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace flywheel::campaign {

void Replicates::allow(const PlannedRun& run) {
  pool_.push_back(run);
  for (const PlannedRun& base : pool_) recall(base);
}

void Replicates::recall(const PlannedRun& base) {
  const std::string prefix = base.id + "-s";
  for (const ledger::RunRow& row : lab_.ledger.runs()) {
    if (row.stage != protocol::Stage::kReplicate || book_.knows(row.run) || !row.run.starts_with(prefix)) continue;
    int number = 0;
    const char* const end = row.run.data() + row.run.size();
    const auto [rest, error] = std::from_chars(row.run.data() + prefix.size(), end, number);
    if (error != std::errc()) continue;
    PlannedRun replicate = replicate_of(base, number);
    if (std::string_view(rest, end) == kInFull) replicate = branches_.in_full(std::move(replicate));
    if (replicate.id == row.run) book_.remember(std::move(replicate));
  }
}

PlannedRun Replicates::replicate_of(const PlannedRun& base, int number) const {
  PlannedRun replicate = base;
  replicate.id = fmt::format("{}-s{}", base.id, number);
  replicate.stage = protocol::Stage::kReplicate;
  replicate.replicate = number;
  replicate.priority = -1;
  return branches_.branched(replicate);
}

std::optional<PlannedRun> Replicates::choose(double seconds) const {
  std::optional<PlannedRun> best;
  double best_score = 0;
  for (const PlannedRun& candidate : pool_) {
    int number = 1;
    while (book_.knows(fmt::format("{}-s{}", candidate.id, number))) ++number;
    PlannedRun replicate = replicate_of(candidate, number);
    const double expected = book_.expected_seconds(replicate);
    if (expected > 0.9 * seconds) continue;
    const double score = expected / (number * number);
    if (!best || score > best_score) best = std::move(replicate), best_score = score;
  }
  return best;
}

std::vector<PlannedRun> Replicates::batch(const CampaignBudget& budget) {
  std::vector<PlannedRun> runs;
  std::vector<double> free_at(static_cast<size_t>(lab_.options.slots), 0.0);
  const double left = budget.seconds_left();
  while (static_cast<int>(runs.size()) < 4 * lab_.options.slots) {
    const auto slot = std::min_element(free_at.begin(), free_at.end());
    const auto replicate = choose(left - *slot);
    if (!replicate) break;
    *slot += book_.expected_seconds(*replicate);
    book_.remember(*replicate);
    runs.push_back(*replicate);
  }
  return runs;
}

std::optional<scheduler::Job> Replicates::next_job(double seconds) {
  const auto replicate = choose(seconds);
  if (!replicate) return std::nullopt;
  book_.remember(*replicate);
  return book_.job_of(*replicate);
}

}  // namespace flywheel::campaign
