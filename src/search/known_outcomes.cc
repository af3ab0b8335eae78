#include "search/known_outcomes.h"

#include <cmath>
#include <map>

#include "base/statistics.h"

namespace flywheel::search {
namespace {

bool would_fail_again(const std::string& reason) {
  const auto kind = protocol::failure_kind(reason);
  return kind && protocol::would_fail_again(*kind);
}

}  // namespace

std::vector<KnownOutcome> known_outcomes(const std::vector<ledger::RunRow>& runs,
                                         const std::vector<ledger::FindingRecord>& findings) {
  std::map<std::string, std::string> outcomes;
  for (const ledger::RunRow& run : runs)
    if (run.state == protocol::RunState::kFailed && would_fail_again(run.reason))
      outcomes.emplace(run.recipe_hash, "failed: " + run.reason);
  // Not a failure of the configuration: another seed or size of it finished.
  for (const ledger::RunRow& run : runs)
    if (run.bits_per_byte) outcomes.erase(run.recipe_hash);
  for (const ledger::FindingRecord& finding : findings)
    if (!finding.recipe_hash.empty()) outcomes[finding.recipe_hash] = "finding";
  std::vector<KnownOutcome> known;
  for (const auto& [identity, outcome] : outcomes) known.push_back({identity, outcome});
  return known;
}

std::vector<KnownOutcome> known_outcomes_of_lab(const Path& lab_directory) {
  const auto ledger = ledger::Ledger::open_read_only(lab_directory);
  std::vector<ledger::FindingRecord> findings;
  for (auto& finding : ledger->all<ledger::FindingRecord>()) findings.push_back(std::move(finding.value));
  return known_outcomes(ledger->runs(), findings);
}

std::vector<evidence::Evidence> screened_effects_of_lab(const Path& lab_directory) {
  const auto ledger = ledger::Ledger::open_read_only(lab_directory);
  if (!ledger->last<ledger::SearchRecord>()) return {};
  std::map<std::string, double> last;                // of each proposal's screenings, the loss
  std::map<std::string, std::vector<double>> bases;  // "base-K", the losses where candidates were screened
  for (const ledger::RunRow& run : ledger->runs()) {
    if (!run.bits_per_byte || run.gave_up()) continue;
    // "base-K-sN" and "screen-pN-K": in the order in which they were planned, so that the last screening stands.
    const std::string whose = run.run.substr(0, run.run.rfind('-'));
    if (run.stage == protocol::Stage::kBase) bases[whose].push_back(*run.bits_per_byte);
    if (run.stage == protocol::Stage::kScreen) last[whose] = *run.bits_per_byte;
  }
  std::vector<evidence::Evidence> effects;
  for (const auto& record : ledger->all<ledger::ProposalRecord>()) {
    const ledger::ProposalRecord& proposal = record.value;
    const auto loss = last.find("screen-" + proposal.id);
    if (proposal.screened.empty() || loss == last.end()) continue;
    // The base beside which it ran last, known by its mean.
    const double beside = loss->second - proposal.screened.back();
    for (const auto& [name, losses] : bases) {
      if (losses.size() < 2 || !(beside > 0) || std::abs(mean(losses) - beside) > 1e-6 * beside) continue;
      const double noise = standard_deviation(losses) / beside, runs = static_cast<double>(losses.size());
      const auto count = static_cast<double>(proposal.screened.size());
      effects.push_back({mean(proposal.screened) / beside, noise * noise * (1 / count + 1 / runs)});
      break;
    }
  }
  return effects;
}

}  // namespace flywheel::search
