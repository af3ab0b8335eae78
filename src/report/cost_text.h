// Costs as text: what was spent, what a change is worth, and the two sides of a comparison beside each other.
#pragma once

#include <optional>
#include <string>

#include "ledger/ledger.h"

namespace flywheel::report {

// FLOPs of optimizers or of evaluations beside those of models; empty where models were trained and these not counted,
// as by earlier programs, which is not 0.
std::optional<double> counted(double flops, double train_flops);
// "1.4e12 FLOP: 1e12 FLOP of training models, 2e11 FLOP of their optimizers, 2e11 FLOP of evaluations".
std::string spend_text(const ledger::Spend& spend);
// Lines that start with `indent`. "-": not known.
std::string costs_text(const ledger::ComparedCosts& costs, const std::string& indent);
// What to know of measured seconds where the processor was busy with other things; empty: nothing.
std::string busy_text(const std::optional<double>& cpu_share);

}  // namespace flywheel::report
