// Compute multipliers in words, the same on every output.
#pragma once

#include <string>
#include <string_view>

#include "ledger/records/effects.h"

namespace flywheel::report {

// "1.14x"; "at least 8x" from the multiple on beyond which nothing was measured; "open" for a number that is not
// finite.
std::string times_text(double times);
// "1.14x (1.05x to 1.22x)", with a level "1.14x (90%: 1.05x to 1.22x)"; "at least 9x" where only that is known; "cannot
// be said".
std::string multiplier_text(const ledger::Interval& multiplier, std::string_view level = "");
// True where only a lower bound is known.
bool is_bound(const ledger::Interval& multiplier);

}  // namespace flywheel::report
