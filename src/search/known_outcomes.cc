#include "search/known_outcomes.h"

#include <map>

namespace flywheel::search {
namespace {

bool would_fail_again(const std::string& reason) {
  for (const char* known : {"diverged", "memory", "input"})
    if (reason.starts_with(known)) return true;
  return false;
}

}  // namespace

std::vector<KnownOutcome> known_outcomes(const std::vector<ledger::RunRow>& runs,
                                         const std::vector<ledger::Record>& findings) {
  std::map<std::string, std::string> outcomes;
  for (const ledger::RunRow& run : runs)
    if (run.state == "failed" && would_fail_again(run.reason))
      outcomes.emplace(run.recipe_hash, "failed: " + run.reason);
  // Another seed or size of it went well.
  for (const ledger::RunRow& run : runs)
    if (run.bits_per_byte) outcomes.erase(run.recipe_hash);
  for (const ledger::Record& finding : findings) {
    const std::string where = "ledger: record " + std::to_string(finding.sequence);
    const auto hash = json_field_or<std::string>(finding.payload, "recipe_hash", "", where);
    if (!hash.empty())
      outcomes[hash] = "finding: " + json_field_or<std::string>(finding.payload, "verdict", "recorded", where);
  }
  std::vector<KnownOutcome> known;
  for (const auto& [identity, outcome] : outcomes) known.push_back({identity, outcome});
  return known;
}

std::vector<KnownOutcome> known_outcomes_of_lab(const Path& lab_directory) {
  const auto ledger = ledger::Ledger::open_read_only(lab_directory);
  return known_outcomes(ledger->runs(), ledger->records("finding"));
}

}  // namespace flywheel::search
