// What earlier labs already know: recipes that need no second try. Read from their ledgers by `--prior LAB`.
#pragma once

#include <vector>

#include "base/file_system.h"
#include "ledger/ledger.h"
#include "search/proposal_loop.h"

namespace flywheel::search {

// Recipes that failed for a reason that would be the same again (diverged, out of memory, bad input), and those that a
// `finding` record names ("recipe_hash", with its "verdict" where there is one). One entry per recipe, findings last
// word. Pure.
std::vector<KnownOutcome> known_outcomes(const std::vector<ledger::RunRow>& runs,
                                         const std::vector<ledger::Record>& findings);

// Of a lab on disk, which may be running: it is only read. Throws kBadInput when there is no ledger.
std::vector<KnownOutcome> known_outcomes_of_lab(const Path& lab_directory);

}  // namespace flywheel::search
