#include "search/proposers/team.h"

#include "base/error.h"

namespace flywheel::search {
namespace {

constexpr int kAsks = 4;  // of one proposer that repeats itself, before another is asked

}  // namespace

ProposerTeam::ProposerTeam(const std::vector<std::string>& names, const workload::SearchSpace& space,
                           const ProposerOptions& options, uint64_t seed)
    : choice_(seed, 0), bandit_(names) {
  if (names.empty()) throw_bad_input("search: expected at least one proposer");
  for (size_t i = 0; i < names.size(); ++i) {
    proposers_.push_back(make_proposer(names[i], space, options));
    draws_.emplace_back(seed, i + 1);
  }
}

std::optional<Proposal> ProposerTeam::ask_one(size_t proposer, const SearchView& view) {
  for (int i = 0; i < kAsks; ++i) {
    auto proposal = proposers_[proposer]->propose(view, draws_[proposer]);
    if (!proposal) {
      bandit_.accounts()[proposer].exhausted = name(proposer) == "list";
      break;
    }
    if (!proposal->failure.empty() || !view.is_taken(view.space.identity(proposal->values))) return proposal;
    ++bandit_.accounts()[proposer].repeats;
  }
  return std::nullopt;
}

std::optional<ProposerTeam::Turn> ProposerTeam::ask(const SearchView& view, std::vector<bool>& passed) {
  while (true) {
    int chosen = bandit_.choose(choice_, passed);
    // What is listed comes first: the bandit cannot know that it was wanted.
    for (size_t i = 0; i < size(); ++i)
      if (name(i) == "list" && !passed[i] && !bandit_.accounts()[i].exhausted) chosen = static_cast<int>(i);
    if (chosen < 0) return std::nullopt;
    const auto proposer = static_cast<size_t>(chosen);
    auto proposal = ask_one(proposer, view);
    if (!proposal) {
      passed[proposer] = true;
      continue;
    }
    ++bandit_.accounts()[proposer].proposed;
    return Turn{proposer, std::move(*proposal)};
  }
}

std::optional<ProposerTeam::Turn> ProposerTeam::ask(const SearchView& view) {
  std::vector<bool> passed(size(), false);
  return ask(view, passed);
}

void ProposerTeam::ended(const SearchView& view, const Trial& trial, size_t proposer, double cost_flops) {
  ProposerAccount& account = bandit_.accounts()[proposer];
  if (trial.state == TrialState::kFailed) ++account.failed;
  if (trial.state == TrialState::kStopped) ++account.stopped;
  if (trial.state == TrialState::kDone) ++account.done;
  bandit_.observe(proposer, trial.gain, cost_flops);
  for (const auto& each : proposers_) each->observe(view, trial);
}

}  // namespace flywheel::search
