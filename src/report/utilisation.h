// How much of the machine a lab used: the FLOPs of its models and optimizers over the seconds of its slots, as a share
// of the float32 peak of one core, which a slot is. With a matrix unit it can pass 1. Beside it, what the slots'
// seconds went into.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ledger/ledger.h"

namespace flywheel::report {

struct SlotSeconds {
  std::string name, text;  // of the part, for programs and for people
  double seconds;
};

struct Utilisation {
  double of_fp32_peak;
  double core_peak_gflops;  // in float32
  double slot_seconds;
  std::vector<SlotSeconds> parts;      // they add up to slot_seconds; empty parts are left out
  std::optional<double> idle_seconds;  // of slots that no run had, beside slot_seconds; not known before the end
};

// Nothing for a ledger that knows no peak or has spent no slot time.
std::optional<Utilisation> utilisation(const ledger::Ledger& ledger);

std::string utilisation_text(const Utilisation& utilisation);

}  // namespace flywheel::report
