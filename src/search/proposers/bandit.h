// A bandit over proposers: the budget is shared by what each has contributed. Thompson sampling (Thompson 1933) of the
// gain per FLOP with discounted counts (Raj & Kalyani 2017), so that a proposer that stops contributing is asked less.
#pragma once

#include <string>
#include <vector>

#include "base/rng.h"

namespace flywheel::search {

// Cost and gain of one proposer, as the report shows them.
struct ProposerAccount {
  std::string proposer;
  int proposed = 0;  // proposals taken
  int repeats = 0;   // proposals refused because they had been tried
  int failed = 0;    // trials that failed, those that could not be started included
  int stopped = 0;   // ended early by their curve
  int done = 0;      // measured to the end
  int improved = 0;  // trials that lowered the best loss
  double gain = 0;   // the sum of their gains
  double cost_flops = 0;
  bool exhausted = false;  // had nothing more to propose
  std::string dropped;     // why it is no longer asked; empty while it is
};

// Deterministic for its random numbers. Not thread safe.
class ProposerBandit {
 public:
  explicit ProposerBandit(const std::vector<std::string>& proposers);

  // The index of the proposer to ask; -1 when none is left. `passed`: those that had nothing this time.
  int choose(Rng& rng, const std::vector<bool>& passed) const;
  // A trial ended: the gain it brought (0: none) and what it cost.
  void observe(size_t proposer, double gain, double cost_flops);
  std::vector<ProposerAccount>& accounts() { return accounts_; }
  const std::vector<ProposerAccount>& accounts() const { return accounts_; }

 private:
  struct Arm {
    double successes = 0, misses = 0, gain = 0, cost = 0, trials = 0;  // discounted
  };
  void drop_who_brings_nothing();

  std::vector<Arm> arms_;
  std::vector<ProposerAccount> accounts_;
};

}  // namespace flywheel::search
