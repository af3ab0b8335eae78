// The proposers of one search, together. They draw candidates; which of them is run is decided by the expected gain per
// FLOP of all (bayes.h), so that a proposer's share of the budget follows what its candidates promise.
//
// Where the whole space is looked at, the candidate of the largest expected gain is run. In a larger space the
// surrogate is less to be trusted, and always running what it likes best loses to searches without one. There a
// proposer is drawn by its share, and its best candidate is run if it promises at least kWorth of the most that any
// candidate does. What a proposer has gained so far does not count: gains are few, and the first ones, which anyone
// finds, are the largest. docs/notes/search-cost.md has the measurements.
//
// Deterministic for its seed. Not thread safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "search/proposers/proposer.h"

namespace flywheel::search {

class ExpectedGain;

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
};

class ProposerTeam {
 public:
  // Throws kBadInput for no or an unknown proposer, or a list that is no TOML. The space must outlive the team.
  ProposerTeam(const std::vector<std::string>& names, const workload::SearchSpace& space,
               const ProposerOptions& options, uint64_t seed);
  ~ProposerTeam();

  struct Turn {
    size_t proposer = 0;
    Proposal proposal;  // not taken, or with a failure
  };
  // Empty when no proposer has anything more. What is listed comes first: it was asked for.
  std::optional<Turn> ask(const SearchView& view);
  // A trial ended: the proposer's account, and what all learn from it. `cost_flops`: charged now.
  void ended(const SearchView& view, const Trial& trial, size_t proposer, double cost_flops);

  size_t size() const { return proposers_.size(); }
  std::string_view name(size_t proposer) const { return proposers_[proposer]->name(); }
  const std::vector<ProposerAccount>& accounts() const { return accounts_; }

 private:
  struct Candidate {
    size_t proposer = 0;
    workload::Values values;
  };
  std::optional<Turn> ask_one(size_t proposer, const SearchView& view);
  std::optional<Turn> ask_judged(const SearchView& view);
  std::vector<Candidate> candidates(const SearchView& view, std::optional<size_t> drawn);
  // By share, among those in `from`, which must not be empty.
  size_t draw(const std::vector<size_t>& from);

  std::vector<std::unique_ptr<Proposer>> proposers_;
  std::vector<Rng> draws_;  // one stream per proposer: asking one does not change another
  Rng choice_;
  std::vector<ProposerAccount> accounts_;
  std::unique_ptr<ExpectedGain> judge_;  // null: a single proposer decides for itself
};

}  // namespace flywheel::search
