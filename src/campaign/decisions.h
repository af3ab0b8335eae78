// The decisions of a campaign. Each is recorded in the ledger before it is acted on, so that a campaign that continues
// after a kill follows its earlier decisions instead of deciding again.
#pragma once

#include "ledger/ledger.h"

namespace flywheel::campaign {

// Not thread safe.
class Decisions {
 public:
  explicit Decisions(ledger::Ledger& ledger) : ledger_(ledger) {}

  // The recorded decision; without one, what `make` returns, recorded. `number` tells repeated decisions apart.
  template <ledger::DecisionStruct R, typename Make>
  R decide(Make&& make, int number = 0) {
    if (auto recorded = ledger_.decision<R>(number)) return *recorded;
    R decision = make();
    if constexpr (requires { decision.number; }) decision.number = number;
    ledger_.append(decision);
    return decision;
  }
  template <ledger::DecisionStruct R>
  std::optional<R> taken(int number = 0) const {
    return ledger_.decision<R>(number);
  }

 private:
  ledger::Ledger& ledger_;
};

}  // namespace flywheel::campaign
