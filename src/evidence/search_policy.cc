#include "evidence/search_policy.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "evidence/paired_runs.h"

namespace flywheel::evidence {
namespace {

constexpr double kNullPairs = 5;  // of a confirmation of nothing, before it is given up
constexpr double kAstray = 2;
constexpr double kTransferWeight =
    9;  // weight of the prior that effects do not shrink: that of a proposal screened at 3 noise floors
constexpr double kLeastTransfer = 0.1;
constexpr double kClearlyMore = 1.02;  // times the net gain of confirming at once, that screening again must have
constexpr int kFewestBeforeGivingUp = 4;
constexpr int kFewestAblations = 4;
constexpr int kLooks[] = {1, 3, 6};
constexpr double kAblationLevel = 0.1;  // the guarantee does not depend on it
// Gauss-Hermite nodes and weights of a standard normal, seven of them.
constexpr double kNodes[] = {-3.750439717725742, -2.366759410734541, -1.154405394739968, 0,
                             1.154405394739968,  2.366759410734541,  3.750439717725742};
constexpr double kWeights[] = {0.000548268855972218, 0.0307571239675865, 0.240123178605013,   0.457142857142857,
                               0.240123178605013,    0.0307571239675865, 0.000548268855972218};

// Robust mean of the differences: those far from the median are pulled in, so that one outlier does not decide what is
// screened.
double steady_mean(std::span<const double> values, double sd) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t n = sorted.size();
  const double median = 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]);
  double sum = 0;
  for (const double x : sorted) sum += std::clamp(x, median - kAstray * sd, median + kAstray * sd);
  return sum / static_cast<double>(n);
}

// 90% of the mean of each rung's pairs.
std::vector<Interval> by_rung(const SequentialTest& test, int rungs) {
  std::vector<Interval> intervals;
  const auto differences = test.differences();
  for (int rung = 0; rung < rungs; ++rung) {
    std::vector<double> own;
    for (size_t i = static_cast<size_t>(rung); i < differences.size(); i += static_cast<size_t>(rungs))
      own.push_back(differences[i]);
    if (!own.empty()) intervals.push_back(student90(own));
  }
  return intervals;
}

// In units of the noise of the base it was screened against; an earlier base may have been much noisier.
double screened_mean(const Standing& p) {
  return steady_mean(p.screened, p.screen_noise_sd) / p.screen_noise_sd;
}

// Expected growth of the log wealth of paired_evidence.h for a normal effect of `gain` standard deviations of a
// difference: at most ln 2, what a sure bet can win.
constexpr double kCurvature = 0.75;
double growth(double gain) {
  return gain <= 0 ? 0 : std::log(2.0) * (1 - std::exp(-kCurvature * gain * gain));
}
double gain_of_growth(double rate) {
  return rate >= std::log(2.0) ? double{INFINITY} : std::sqrt(-std::log(1 - rate / std::log(2.0)) / kCurvature);
}

}  // namespace

PolicyOptions campaign_policy() {
  PolicyOptions options;
  options.alpha = 0.05;
  options.base_runs = 6;
  options.most_screens = 4;
  options.most_confirmations = 60;
  options.fewest_confirmations = 8;
  options.rungs = 2;
  return options;
}

SearchPolicy::SearchPolicy(const PolicyOptions& options) : options_(options) {
  CHECK(options.noise_sd > 0 && options.screen_cost > 0 && options.confirm_cost > 0 && options.parallel > 0);
}

void SearchPolicy::set_noise_sd(double noise_sd) {
  CHECK(noise_sd > 0);
  options_.noise_sd = noise_sd;
  learn();
}
void SearchPolicy::set_costs(double screen_cost, double confirm_cost, double gain_flops) {
  options_.screen_cost = screen_cost;
  options_.confirm_cost = confirm_cost;
  options_.gain_flops = gain_flops;
  for (Prospect& kept : prospects_) kept.level = -1;
  fresh_.level = -1;
}

int SearchPolicy::propose() {
  standings_.emplace_back();
  arrived_.emplace_back();
  prospects_.emplace_back();
  screens_in_flight_.push_back(0);
  screens_given_.push_back(0);
  pairs_given_.push_back(0);
  return static_cast<int>(standings_.size()) - 1;
}
void SearchPolicy::no_more_proposals() {
  exhausted_ = true;
}

double SearchPolicy::level_of_next_test() const {
  return discovery_level(options_.alpha, tests_ + 1, adoptions_);
}

double SearchPolicy::mean_variance(double screens, double pairs) const {
  // The base's mean is the same in every screening difference.
  const double screen = screens > 0 ? 1 / screens + 1.0 / options_.base_runs : double{INFINITY};
  const double pair = pairs > 0 ? 2 / pairs : double{INFINITY};
  return 1 / (1 / screen + 1 / pair);
}

// The posterior of a proposal's effect from all its runs, in noise_sd. Confirmation runs are included: they may decide
// when to stop, but not the outcome of the test.
const EffectPosterior& SearchPolicy::posterior(int proposal) const {
  const auto at = static_cast<size_t>(proposal);
  const Standing& p = standings_[at];
  const auto screens = static_cast<double>(p.screened.size());
  const double pairs = p.confirmed ? p.confirmed->pairs() : 0;
  Prospect& kept = prospects_[at];
  const int evidence = static_cast<int>(screens + pairs);
  if (kept.evidence == evidence && kept.prior == prior_version_) return kept.posterior;
  kept.evidence = evidence, kept.prior = prior_version_, kept.level = -1;
  if (evidence == 0) return kept.posterior = prior_.prior();
  double mean = 0;
  const double all = mean_variance(screens, pairs);
  // Beside pairs, screenings count for what they say about the scale of those.
  const double transfer = pairs > 0 ? transfer_ : 1;
  if (screens > 0) mean += transfer * all / mean_variance(screens, 0) * screened_mean(p);
  if (pairs > 0)
    mean += all / mean_variance(0, pairs) *
            steady_mean(p.confirmed->differences(), std::sqrt(2.0) * options_.noise_sd) / options_.noise_sd;
  return kept.posterior = prior_.posterior({mean, all});
}

const SearchPolicy::Prospect& SearchPolicy::prospect(int proposal) {
  const double level = level_of_next_test();
  const EffectPosterior& p = posterior(proposal);
  Prospect& kept = prospects_[static_cast<size_t>(proposal)];
  if (kept.level == level) return kept;
  kept.level = level;
  kept.confirm = net_gain_of_confirming(p, level);
  kept.pairs = confirmation_pairs(p, 0, level, transfer_);
  kept.look = net_gain_of_screening(p);
  return kept;
}

void SearchPolicy::learn() {
  std::vector<Evidence> trials;
  for (const Standing& p : standings_) {
    if (p.screened.empty()) continue;
    const auto count = static_cast<double>(p.screened.size());
    trials.push_back({screened_mean(p), mean_variance(count, 0)});
  }
  prior_.learn(trials);
  double both = kTransferWeight, squares = kTransferWeight;
  for (const Standing& p : standings_) {
    if (p.screened.empty() || !p.confirmed || p.confirmed->pairs() < kFewestBeforeGivingUp) continue;
    const auto count = static_cast<double>(p.screened.size());
    const double seen = prior_.posterior({screened_mean(p), mean_variance(count, 0)}).centre();
    both += seen * p.confirmed->mean() / p.screen_noise_sd;
    squares += seen * seen;
  }
  transfer_ = std::clamp(both / squares, kLeastTransfer, 1.0);
  ++prior_version_;
  learnt_at_ = results_;
}

double SearchPolicy::expected_gain(int proposal) const {
  return posterior(proposal).expected_gain() * options_.noise_sd;
}

// Pairs until the wealth suffices if the effect is its posterior expectation given that it is better.
double SearchPolicy::confirmation_pairs(const EffectPosterior& p, double log_e, double level, double transfer) const {
  const double better = p.better();
  if (better <= 1e-6) return INFINITY;
  const double gain = transfer * p.expected_gain() / better / std::sqrt(2.0);
  const double rate = growth(gain);
  return rate > 0 ? std::max(1.0, (-std::log(level) - log_e) / rate) : INFINITY;
}

// Net gain in FLOPs: the gain if the effect is real, less the cost of the pairs. Without an effect it ends early.
double SearchPolicy::net_gain_of_confirming(const EffectPosterior& p, double level) const {
  const double pairs = confirmation_pairs(p, 0, level, transfer_), better = p.better();
  if (pairs > options_.most_confirmations) return -INFINITY;
  return options_.gain_flops * transfer_ * p.expected_gain() -
         options_.confirm_cost * (better * pairs + (1 - better) * std::min(pairs, kNullPairs));
}

// Net gain in FLOPs of the best number of further screening runs when their result decides about confirmation. Several
// at once, since one alone may have no value where four have much (Frazier and Powell 2010).
double SearchPolicy::net_gain_of_screening(const EffectPosterior& p) const {
  const double level = level_of_next_test();
  double best = -INFINITY;
  for (const int looks : kLooks) {
    const double error = 1.0 / looks + 1.0 / options_.base_runs;
    double expected = -looks * options_.screen_cost;
    for (size_t k = 0; k < kEffectSpreads.size(); ++k) {
      const double spread = std::sqrt(p.sd[k] * p.sd[k] + error);
      for (size_t i = 0; i < std::size(kNodes); ++i) {
        const double share = p.weight[k] * kWeights[i];
        if (share < 1e-5) continue;
        expected +=
            share * std::max(0.0, net_gain_of_confirming(p.updated(p.mean[k] + spread * kNodes[i], error), level));
      }
    }
    best = std::max(best, expected);
  }
  return best;
}

double SearchPolicy::pairs_to_go(int proposal) const {
  const Standing& p = standings_[static_cast<size_t>(proposal)];
  const double log_e = p.confirmed ? p.confirmed->log_e_better() : 0;
  const double transfer = p.confirmed && p.confirmed->pairs() > 0 ? 1 : transfer_;
  return confirmation_pairs(posterior(proposal), log_e, p.confirmed ? p.level : level_of_next_test(), transfer);
}

double SearchPolicy::pairs_for(double gain) const {
  const double rate = growth(gain / std::sqrt(2.0));
  return rate > 0 ? std::max(-std::log(level_of_next_test()) / rate, 1.0 * options_.fewest_confirmations)
                  : double{INFINITY};
}
double SearchPolicy::gain_for(double pairs) const {
  if (pairs < std::max(options_.fewest_confirmations, 1)) return INFINITY;
  return std::sqrt(2.0) * gain_of_growth(-std::log(level_of_next_test()) / pairs);
}

std::optional<SearchPolicy::Action> SearchPolicy::continue_confirmation() {
  if (confirming_ < 0) return std::nullopt;
  const auto at = static_cast<size_t>(confirming_);
  Standing& p = standings_[at];
  const int in_flight = pairs_given_[at] - p.confirmed->pairs();
  // Not more at once than may be needed.
  const double wanted =
      std::max(pairs_to_go(confirming_), static_cast<double>(options_.fewest_confirmations - p.confirmed->pairs()));
  if (in_flight >= std::min<double>(options_.parallel, std::ceil(wanted)) ||
      pairs_given_[at] >= options_.most_confirmations)
    return std::nullopt;
  return Action{Action::Kind::kRun, {confirming_, Stage::kConfirm, pairs_given_[at]++}};
}

std::optional<SearchPolicy::Action> SearchPolicy::continue_ablation() {
  for (size_t i = 0; i < standings_.size(); ++i) {
    Standing& p = standings_[i];
    if (p.outcome != Outcome::kAdopted || !p.ablated || p.ablation_over) continue;
    if (pairs_given_[i] - p.ablated->pairs() < options_.parallel && pairs_given_[i] < options_.most_ablations)
      return Action{Action::Kind::kRun, {static_cast<int>(i), Stage::kAblate, pairs_given_[i]++}};
    return Action{Action::Kind::kWait, {}};  // one change at a time, since a dropped one changes the base
  }
  return std::nullopt;
}

SearchPolicy::Action SearchPolicy::next() {
  if (closed_) return {};
  if (ablating_) return continue_ablation().value_or(Action{});
  if (auto action = continue_confirmation()) return *action;

  double best = 0;
  int chosen = -1;
  bool confirm = false, waiting = confirming_ >= 0;
  const double level = level_of_next_test();
  for (size_t i = 0; i < standings_.size(); ++i) {
    if (standings_[i].outcome != Outcome::kOpen || standings_[i].confirmed) continue;
    if (screens_in_flight_[i] > 0) {
      waiting = true;
      continue;
    }
    const Prospect& p = prospect(static_cast<int>(i));
    const bool may_look = screens_given_[i] - standings_[i].screened_from < options_.most_screens;
    if (!standings_[i].screened.empty() && confirming_ < 0) {
      // Confirming now must beat looking once more first.
      const double net = p.confirm / (options_.confirm_cost * std::max(1.0, p.pairs));
      if (net > best && (!may_look || kClearlyMore * p.confirm >= p.look))
        best = net, chosen = static_cast<int>(i), confirm = true;
    }
    if (may_look) {
      // As the net gain of a whole path is spread over its pairs, so is that of screening.
      const double net = standings_[i].screened.empty()
                             ? double{INFINITY}
                             : p.look / (options_.screen_cost + options_.confirm_cost * kNullPairs);
      if (net > best) best = net, chosen = static_cast<int>(i), confirm = false;
    }
  }
  if (!exhausted_) {
    if (fresh_.prior != prior_version_ || fresh_.level != level)
      fresh_ = {0, prior_version_, level, {}, 0, 0, net_gain_of_screening(prior_.prior())};
    const double net = fresh_.look / (options_.screen_cost + options_.confirm_cost * kNullPairs);
    if (net > best) return {Action::Kind::kPropose, {}};
  }
  if (chosen < 0) return {waiting ? Action::Kind::kWait : Action::Kind::kDone, {}};
  const auto at = static_cast<size_t>(chosen);
  if (!confirm) {
    ++screens_in_flight_[at];
    return {Action::Kind::kRun, {chosen, Stage::kScreen, screens_given_[at]++}};
  }
  Standing& p = standings_[at];
  p.level = level;
  p.test = ++tests_;
  p.base = adoptions_;
  p.confirmed.emplace(std::sqrt(2.0) * options_.noise_sd);
  confirming_ = chosen;
  return {Action::Kind::kRun, {chosen, Stage::kConfirm, pairs_given_[at]++}};
}

void SearchPolicy::result(const SearchPair& pair, double difference) {
  if (!std::isfinite(difference)) return failed(pair, "no finite loss");
  const auto at = static_cast<size_t>(pair.proposal);
  CHECK(at < standings_.size());
  Standing& p = standings_[at];
  if (pair.stage == Stage::kScreen) {
    --screens_in_flight_[at];
    if (pair.number < p.screened_from) return;  // measured against an earlier base
    if (p.screened.empty()) p.screen_noise_sd = options_.noise_sd;
    p.screened.push_back(difference);
    // Often while there is little, then as it grows.
    if (++results_ <= 10 || results_ >= learnt_at_ + results_ / 10) learn();
    return;
  }
  // Tests take pairs in the order they were given, not that of arrival, which may depend on what they measure.
  auto& arrived = arrived_[at];
  if (arrived.size() <= static_cast<size_t>(pair.number)) arrived.resize(static_cast<size_t>(pair.number) + 1);
  arrived[static_cast<size_t>(pair.number)] = difference;
  SequentialTest& test = pair.stage == Stage::kConfirm ? *p.confirmed : *p.ablated;
  while (p.outcome == (pair.stage == Stage::kConfirm ? Outcome::kOpen : Outcome::kAdopted) &&
         static_cast<size_t>(test.pairs()) < arrived.size() && arrived[static_cast<size_t>(test.pairs())]) {
    test.add(*arrived[static_cast<size_t>(test.pairs())]);
    pair.stage == Stage::kConfirm ? judge_confirmation(pair.proposal) : judge_ablation(pair.proposal);
  }
}

void SearchPolicy::revise(const SearchPair& pair, double difference) {
  Standing& p = standings_.at(static_cast<size_t>(pair.proposal));
  CHECK(pair.stage == Stage::kScreen);
  const int at = pair.number - p.screened_from;
  if (at < 0 || at >= static_cast<int>(p.screened.size())) return;  // beside a base of before
  p.screened[static_cast<size_t>(at)] = difference;
  prospects_[static_cast<size_t>(pair.proposal)].evidence = -1;
  learn();
}

void SearchPolicy::judge_confirmation(int proposal) {
  Standing& p = standings_[static_cast<size_t>(proposal)];
  const int pairs = p.confirmed->pairs();
  if (pairs < options_.fewest_confirmations) return;
  const EffectPosterior& now = posterior(proposal);
  const std::vector<Interval> each = by_rung(*p.confirmed, options_.rungs);
  if (std::any_of(each.begin(), each.end(), [](const Interval& rung) { return rung.low > 0; })) {
    p.outcome = Outcome::kRejected;
    p.reason = options_.rungs > 1 ? "it is worse on one rung at least" : "it is worse";
  } else if (p.confirmed->log_e_better() >= -std::log(p.level)) {
    if (!std::all_of(each.begin(), each.end(), [](const Interval& rung) { return rung.value < 0; })) {
      p.outcome = Outcome::kUndecided;
      p.reason = "the ranking flips: it helps on one rung and not on another";
    } else if (const auto objection = options_.objection(proposal)) {
      p.outcome = objection->outcome;
      p.reason = objection->reason;
    } else {
      p.outcome = Outcome::kAdopted;
      ++adoptions_;
      screen_anew();
    }
  } else if (pairs >= std::min(kFewestBeforeGivingUp, options_.most_confirmations)) {
    const double left = confirmation_pairs(now, p.confirmed->log_e_better(), p.level, 1);
    if (pairs >= options_.most_confirmations || pairs + left > options_.most_confirmations ||
        options_.gain_flops * now.expected_gain() < options_.confirm_cost * left)
      p.outcome = now.better() < 0.5 ? Outcome::kRejected : Outcome::kUndecided;
    if (p.outcome == Outcome::kRejected) p.reason = "its pairs show no gain";
    if (p.outcome == Outcome::kUndecided) p.reason = "more pairs would cost more than what it seems to gain is worth";
  }
  if (p.outcome == Outcome::kOpen) return;
  confirming_ = -1;
  learn();
}

void SearchPolicy::screen_anew() {
  for (size_t i = 0; i < standings_.size(); ++i) {
    Standing& p = standings_[i];
    if (p.outcome != Outcome::kOpen || p.confirmed) continue;
    if (screens_in_flight_[i] == 0 && (p.screened.empty() || posterior(static_cast<int>(i)).better() < 0.5)) continue;
    p.screened.clear();
    p.screened_from = screens_given_[i];
  }
}

void SearchPolicy::judge_ablation(int proposal) {
  Standing& p = standings_[static_cast<size_t>(proposal)];
  const SequentialTest& test = *p.ablated;
  if (test.pairs() < kFewestAblations) return;
  const bool carries = test.log_e_worse() >= -std::log(kAblationLevel);
  if (test.mean() <= 0) {
    p.outcome = Outcome::kDropped;
    p.ablation_over = true;
    p.reason = "the recipe is no worse without it";
  } else if (carries || test.pairs() >= options_.most_ablations) {
    p.ablation_over = true;
  }
}

void SearchPolicy::failed(const SearchPair& pair, const std::string& reason) {
  const auto at = static_cast<size_t>(pair.proposal);
  Standing& p = standings_[at];
  if (pair.stage == Stage::kScreen) --screens_in_flight_[at];
  if (pair.stage == Stage::kAblate) {  // the recipe without it does not even run
    p.ablation_over = true;
    return;
  }
  if (p.outcome != Outcome::kOpen) return;
  p.outcome = Outcome::kFailed;
  p.reason = reason;
  if (confirming_ == pair.proposal) confirming_ = -1;
}

void SearchPolicy::end(int proposal, Outcome outcome, const std::string& reason) {
  Standing& p = standings_[static_cast<size_t>(proposal)];
  p.outcome = outcome;
  p.reason = reason;
}

void SearchPolicy::ablate() {
  if (std::count_if(standings_.begin(), standings_.end(),
                    [](const Standing& p) { return p.outcome == Outcome::kAdopted; }) < 2)
    return;
  ablating_ = true;
  closed_ = false;
  for (size_t i = 0; i < standings_.size(); ++i) {
    Standing& p = standings_[i];
    if (p.outcome != Outcome::kAdopted) continue;
    p.ablated.emplace(std::sqrt(2.0) * options_.noise_sd);
    arrived_[i].clear();
    pairs_given_[i] = 0;
  }
}

void SearchPolicy::close(const std::string& reason) {
  closed_ = true;
  ablating_ = false;
  confirming_ = -1;
  for (Standing& p : standings_)
    if (p.outcome == Outcome::kOpen) {
      p.outcome = p.confirmed ? Outcome::kUndecided : Outcome::kNotTested;
      p.reason = reason;
    }
}

}  // namespace flywheel::evidence
