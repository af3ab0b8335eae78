#include "search/proposers/team.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "search/proposers/bayes.h"

namespace flywheel::search {
namespace {

constexpr int kAsks = 4;        // of one proposer that repeats itself, before another is asked
constexpr double kWorth = 0.2;  // of the largest expected gain: a candidate that promises less is not run

bool is_list(const Proposer& proposer) {
  return proposer.name() == "list";
}

}  // namespace

ProposerTeam::ProposerTeam(const std::vector<std::string>& names, const workload::SearchSpace& space,
                           const ProposerOptions& options, uint64_t seed)
    : choice_(seed, 0) {
  if (names.empty()) throw_bad_input("search: expected at least one proposer");
  size_t judged = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    proposers_.push_back(make_proposer(names[i], space, options));
    draws_.emplace_back(seed, i + 1);
    accounts_.push_back({.proposer = names[i]});
    judged += is_list(*proposers_.back()) ? 0 : 1;
  }
  if (judged > 1) judge_ = std::make_unique<ExpectedGain>(space, options.prior);
}

ProposerTeam::~ProposerTeam() = default;

std::optional<ProposerTeam::Turn> ProposerTeam::ask_one(size_t proposer, const SearchView& view) {
  for (int i = 0; i < kAsks; ++i) {
    auto proposal = proposers_[proposer]->propose(view, draws_[proposer]);
    if (!proposal) {
      accounts_[proposer].exhausted = is_list(*proposers_[proposer]);
      break;
    }
    if (!proposal->failure.empty() || !view.is_taken(view.space.identity(proposal->values)))
      return Turn{proposer, std::move(*proposal)};
    ++accounts_[proposer].repeats;
  }
  return std::nullopt;
}

size_t ProposerTeam::draw(const std::vector<size_t>& from) {
  const auto share = [&](size_t proposer) { return proposer_row(name(proposer)).share; };
  double left = 0;
  for (const size_t proposer : from) left += share(proposer);
  left *= choice_.uniform();
  for (const size_t proposer : from) {
    left -= share(proposer);
    if (left < 0) return proposer;
  }
  return from.back();
}

std::vector<ProposerTeam::Candidate> ProposerTeam::candidates(const SearchView& view, std::optional<size_t> drawn) {
  std::vector<Candidate> all;
  for (size_t i = 0; i < size(); ++i) {
    const ProposerRow& row = proposer_row(name(i));
    if (is_list(*proposers_[i]) || (drawn && i != *drawn && !row.sees_best)) continue;
    for (workload::Values& values : proposers_[i]->candidates(view, static_cast<size_t>(row.candidates), draws_[i])) {
      if (!view.is_taken(view.space.identity(values)) && view.space.refusal(values).empty())
        all.push_back({i, std::move(values)});
      else
        ++accounts_[i].repeats;
    }
  }
  return all;
}

std::optional<ProposerTeam::Turn> ProposerTeam::ask_judged(const SearchView& view) {
  std::optional<size_t> drawn;
  if (!has_few_points(view.space)) {
    std::vector<size_t> from;
    for (size_t i = 0; i < size(); ++i)
      if (!is_list(*proposers_[i])) from.push_back(i);
    drawn = draw(from);
  }
  judge_->learn(view);
  const std::vector<double> believed = judge_->believed(view);
  SearchView seen = view;
  seen.believed = believed;
  const std::vector<Candidate> all = candidates(seen, drawn);
  if (all.empty()) return std::nullopt;
  std::vector<std::vector<double>> units;
  for (const Candidate& candidate : all) units.push_back(view.space.units(candidate.values));
  const std::vector<ExpectedGain::Ranked> ranked = judge_->rank(view, units);
  auto chosen = ranked.begin();
  if (drawn) {
    const auto own = std::find_if(ranked.begin(), ranked.end(),
                                  [&](const auto& each) { return all[each.point].proposer == *drawn; });
    const bool is_worth_it =
        own != ranked.end() && own->may_work == chosen->may_work && own->score >= kWorth * chosen->score;
    if (is_worth_it) chosen = own;
  }
  const Candidate& candidate = all[chosen->point];
  return Turn{candidate.proposer, Proposal{candidate.values, chosen->rung_flops, chosen->gain, "", ""}};
}

std::optional<ProposerTeam::Turn> ProposerTeam::ask(const SearchView& view) {
  std::optional<Turn> turn;
  for (size_t i = 0; i < size() && !turn; ++i)
    if (is_list(*proposers_[i]) && !accounts_[i].exhausted) turn = ask_one(i, view);
  if (!turn && judge_) turn = ask_judged(view);
  std::vector<size_t> left;
  for (size_t i = 0; i < size(); ++i)
    if (!is_list(*proposers_[i])) left.push_back(i);
  while (!turn && !left.empty()) {
    const size_t proposer = draw(left);
    turn = ask_one(proposer, view);
    left.erase(std::find(left.begin(), left.end(), proposer));
  }
  if (turn) ++accounts_[turn->proposer].proposed;
  return turn;
}

void ProposerTeam::ended(const SearchView& view, const Trial& trial, size_t proposer, double cost_flops) {
  ProposerAccount& account = accounts_[proposer];
  if (trial.state == TrialState::kFailed) ++account.failed;
  if (trial.state == TrialState::kStopped) ++account.stopped;
  if (trial.state == TrialState::kDone) ++account.done;
  account.cost_flops += cost_flops;
  if (trial.gain > 0) {
    account.gain += trial.gain;
    account.improved += 1;
  }
  for (const auto& each : proposers_) each->observe(view, trial);
}

}  // namespace flywheel::search
