#include "search/known_outcomes.h"

#include <map>

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

}  // namespace flywheel::search
