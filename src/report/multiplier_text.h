// Compute multipliers in words, the same on every output.
#pragma once

#include <string>
#include <string_view>

#include "ledger/records/effects.h"

namespace flywheel::report {

// "1.14x"; "open" for 0 and for a number that is not finite.
std::string times_text(double times);
// "1.14x (1.05x to 1.22x)", with a level "1.14x (90%: 1.05x to 1.22x)"; "at least 6.9x (90%)" or "at most 0.1x (90%)"
// where only that is known: a bound is the interval's own end, never the multiple beyond which nothing was measured;
// "cannot be said".
std::string multiplier_text(const ledger::Interval& multiplier, std::string_view level = "");
// True where only that is known: the other end is open, and the value is this end or lies beyond what was measured
// (kFarthestMultiple).
bool is_lower_bound(const ledger::Interval& multiplier);
bool is_upper_bound(const ledger::Interval& multiplier);

}  // namespace flywheel::report
