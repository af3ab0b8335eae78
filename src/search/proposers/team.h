// The proposers of one search, chosen in turn by what each has contributed (bandit.h). Deterministic for its seed. Not
// thread safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "search/proposers/bandit.h"
#include "search/proposers/proposer.h"

namespace flywheel::search {

class ProposerTeam {
 public:
  // Throws kBadInput for no or an unknown proposer, or a list that is no TOML. The space must outlive the team.
  ProposerTeam(const std::vector<std::string>& names, const workload::SearchSpace& space,
               const ProposerOptions& options, uint64_t seed);

  struct Turn {
    size_t proposer = 0;
    Proposal proposal;  // not taken, or with a failure
  };
  // Empty when no proposer has anything more. `passed`: the proposers that had nothing; kept by the caller when finding
  // one proposal takes several turns.
  std::optional<Turn> ask(const SearchView& view, std::vector<bool>& passed);
  std::optional<Turn> ask(const SearchView& view);
  // A trial ended: the proposer's account, and what all learn from it. `cost_flops`: charged now.
  void ended(const SearchView& view, const Trial& trial, size_t proposer, double cost_flops);

  size_t size() const { return proposers_.size(); }
  std::string_view name(size_t proposer) const { return proposers_[proposer]->name(); }
  const std::vector<ProposerAccount>& accounts() const { return bandit_.accounts(); }

 private:
  std::optional<Proposal> ask_one(size_t proposer, const SearchView& view);

  std::vector<std::unique_ptr<Proposer>> proposers_;
  std::vector<Rng> draws_;  // one stream per proposer: asking one does not change another
  Rng choice_;
  ProposerBandit bandit_;
};

}  // namespace flywheel::search
