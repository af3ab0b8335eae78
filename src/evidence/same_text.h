// Losses are comparable only where the same text was scored. Every place that puts losses of two runs together asks
// here.
#pragma once

#include <span>

#include "ledger/ledger.h"

namespace flywheel::evidence {

// Throws kFailed, naming both runs and their lists of segments, where they were scored on different ones. Runs of older
// versions have no list and are alike.
void check_same_text(const ledger::RunRow& one, const ledger::RunRow& other);

}  // namespace flywheel::evidence
