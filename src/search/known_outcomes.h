// Outcomes known from earlier labs: configurations that are not tried again. Read from their ledgers by `--prior LAB`.
#pragma once

#include <string>
#include <vector>

#include "base/file_system.h"
#include "evidence/effect_prior.h"
#include "ledger/ledger.h"

namespace flywheel::search {

// A result of an earlier search that is not to be repeated.
struct KnownOutcome {
  std::string identity;  // of the configuration
  std::string outcome;   // "finding", "failed", ... in words
};

// Configurations that failed for a reproducible reason (diverged, out of memory, bad input), and those that were found
// to be better. One entry per configuration; a finding takes precedence. Pure.
std::vector<KnownOutcome> known_outcomes(const std::vector<ledger::RunRow>& runs,
                                         const std::vector<ledger::FindingRecord>& findings);

// The same for a lab on disk, which is only read and may be running. Throws kBadInput when there is no ledger.
std::vector<KnownOutcome> known_outcomes_of_lab(const Path& lab_directory);

// What the search of an earlier lab saw of its proposals where it screened them, as shares of the loss of the base
// beside it: what effects other campaigns may expect. Empty where the lab has made no search yet. Throws as above.
std::vector<evidence::Evidence> screened_effects_of_lab(const Path& lab_directory);

}  // namespace flywheel::search
