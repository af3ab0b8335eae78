// What the search policy does once changes are adopted: it leaves each out again, and has the recipe found endure
// (search_policy.h).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "evidence/search_policy.h"

namespace flywheel::evidence {
namespace {

constexpr int kFewestAblations = 4;
constexpr double kAblationLevel = 0.1;  // the guarantee does not depend on it
// Endurance runs far above the others that are no chance any more: so many, and such a share.
constexpr int kFewestAstray = 3;
constexpr double kAstrayShare = 0.1;

}  // namespace

// ---- leave one out --------------------------------------------------------------------------------------------------

std::vector<int> SearchPolicy::to_leave_out() const {
  std::vector<int> adopted;
  int last = 0, of_last = 0;
  for (size_t i = 0; i < standings_.size(); ++i) {
    const Standing& p = standings_[i];
    if (p.outcome != Outcome::kAdopted || p.whole) continue;
    adopted.push_back(static_cast<int>(i));
    of_last = p.batch == last ? of_last + 1 : p.batch > last ? 1 : of_last;
    last = std::max(last, p.batch);
  }
  if (adopted.size() < 2) return {};
  if (of_last == 1) std::erase_if(adopted, [&](int i) { return standings_[static_cast<size_t>(i)].batch == last; });
  return adopted;
}

void SearchPolicy::ablate() {
  const std::vector<int> left_out = to_leave_out();
  ablating_ = true;
  closed_ = false;
  for (const int proposal : left_out) {
    const auto i = static_cast<size_t>(proposal);
    Standing& p = standings_[i];
    p.ablated.emplace(std::sqrt(2.0) * options_.noise_sd);
    arrived_[i].clear();
    rung_of_[i].clear();
    given_[i] = consumed_[i] = 0;
  }
}

std::optional<SearchPolicy::Action> SearchPolicy::continue_ablation() {
  for (size_t i = 0; i < standings_.size(); ++i) {
    Standing& p = standings_[i];
    if (p.outcome != Outcome::kAdopted || !p.ablated || p.ablation_over) continue;
    if (given_[i] - consumed_[i] < options_.parallel && given_[i] < options_.most_ablations)
      return Action{Action::Kind::kRun,
                    {static_cast<int>(i), Stage::kAblate, given_[i], given_[i]++ % static_cast<int>(rungs())}};
    return Action{Action::Kind::kWait, {}};  // one change at a time, since a dropped one changes the base
  }
  return std::nullopt;
}

void SearchPolicy::take_ablated(const SearchRun& run, std::optional<double> difference) {
  const auto at = static_cast<size_t>(run.proposal);
  Standing& p = standings_[at];
  auto& arrived = arrived_[at];
  if (arrived.size() <= static_cast<size_t>(run.number)) arrived.resize(static_cast<size_t>(run.number) + 1);
  arrived[static_cast<size_t>(run.number)] = difference.value_or(NAN);
  while (p.outcome == Outcome::kAdopted && static_cast<size_t>(consumed_[at]) < arrived.size() &&
         arrived[static_cast<size_t>(consumed_[at])]) {
    const double next = *arrived[static_cast<size_t>(consumed_[at]++)];
    if (!std::isnan(next)) p.ablated->add(next);
    judge_ablation(run.proposal);
  }
}

void SearchPolicy::judge_ablation(int proposal) {
  Standing& p = standings_[static_cast<size_t>(proposal)];
  const SequentialTest& test = *p.ablated;
  const bool last = consumed_[static_cast<size_t>(proposal)] >= options_.most_ablations;
  if (test.pairs() < kFewestAblations) {
    p.ablation_over = last;  // the machine lost too many
    return;
  }
  const bool carries = test.log_e_worse() >= -std::log(kAblationLevel);
  if (test.mean() <= 0) {
    p.outcome = Outcome::kDropped;
    p.ablation_over = true;
    p.reason = "the recipe is no worse without it";
  } else if (carries || last) {
    p.ablation_over = true;
  }
}

// ---- endurance ------------------------------------------------------------------------------------------------------

bool SearchPolicy::endure() {
  if (options_.endurance <= 0 || std::none_of(standings_.begin(), standings_.end(),
                                              [](const Standing& p) { return p.outcome == Outcome::kAdopted; }))
    return false;
  enduring_ = true;
  closed_ = ablating_ = false;
  return true;
}

SearchPolicy::Action SearchPolicy::continue_endurance() {
  if (!attributing_) {
    if (endurance_given_ < options_.endurance)
      return {Action::Kind::kRun, {kTheBase, Stage::kEndure, endurance_given_++}};
    return {endurance_back_ < endurance_given_ ? Action::Kind::kWait : Action::Kind::kDone, {}};
  }
  bool waiting = false;
  for (size_t i = 0; i < standings_.size(); ++i) {
    if (standings_[i].outcome != Outcome::kAdopted) continue;
    waiting = waiting || own_back_[i] < own_given_[i];
    if (own_given_[i] < options_.endurance)
      return {Action::Kind::kRun, {static_cast<int>(i), Stage::kEndure, own_given_[i]++}};
  }
  return {waiting ? Action::Kind::kWait : Action::Kind::kDone, {}};
}

void SearchPolicy::take_endured(const SearchRun& run, std::optional<double> loss) {
  if (run.proposal == kTheBase) {
    ++endurance_back_;
    if (loss) endured_.push_back(*loss);
  } else {
    const auto at = static_cast<size_t>(run.proposal);
    ++own_back_[at];
    if (loss) own_endured_[at].push_back(*loss);
  }
  judge_endurance();
}

// Of its runs, or those far above the others where they are too many for chance: a harm that is neither rare nor large
// is none of 12 deviations, and a test of some runs may have seen little of it.
int SearchPolicy::harmed(const std::vector<double>& losses) const {
  const int ruined = RankTest(losses).base_ruined();
  const auto n = static_cast<double>(losses.size());
  const int astray = far_above(losses);
  const bool too_many = astray >= std::max<double>(kFewestAstray, kAstrayShare * n) &&
                        ruins(astray, static_cast<int>(losses.size()), start_astray_, start_pool_.second);
  return too_many ? std::max(ruined, astray) : ruined;
}

void SearchPolicy::judge_endurance() {
  // Of the base that the search began with: a later one has the changes that are asked about.
  const auto [base_ruined, base_runs] = start_pool_;
  if (!attributing_) {
    if (endurance_back_ < options_.endurance || endured_.empty()) return;
    endurance_done_ = static_cast<int>(endured_.size());
    endurance_ruined_ = harmed(endured_);
    attributing_ = ruins(endurance_ruined_, endurance_done_, base_ruined, base_runs);
    return;
  }
  for (size_t i = 0; i < standings_.size(); ++i) {
    Standing& p = standings_[i];
    if (p.outcome != Outcome::kAdopted || own_back_[i] < options_.endurance || own_endured_[i].empty()) continue;
    p.endured = static_cast<int>(own_endured_[i].size());
    p.ruined = harmed(own_endured_[i]);
    if (!ruins(p.ruined, p.endured, base_ruined, base_runs)) continue;
    p.outcome = Outcome::kDropped;
    p.reason = fmt::format("{} of {} further runs with it were ruined", p.ruined, p.endured);
  }
}

}  // namespace flywheel::evidence
