// Compute multipliers in words, the same on every output.
#pragma once

#include <string>
#include <string_view>

#include "ledger/records/effects.h"

namespace flywheel::report {

// "1.14x"; "at least 8x" from the multiple on beyond which nothing was measured, "at most 0.125x" from its reciprocal
// down; "open" for 0 and for a number that is not finite.
std::string times_text(double times);
// "1.14x (1.05x to 1.22x)", with a level "1.14x (90%: 1.05x to 1.22x)"; "at least 9x" or "at most 0.1x" where only
// that is known; "cannot be said".
std::string multiplier_text(const ledger::Interval& multiplier, std::string_view level = "");
// True where only that is known.
bool is_lower_bound(const ledger::Interval& multiplier);
bool is_upper_bound(const ledger::Interval& multiplier);

}  // namespace flywheel::report
