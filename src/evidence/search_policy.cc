#include "evidence/search_policy.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/statistics.h"
#include "evidence/paired_runs.h"

namespace flywheel::evidence {
namespace {

// Runs of a confirmation of nothing on the lowest rung, before it is given up, and more where the gain that is looked
// for is small or worth many runs; and what each test costs the others of its batch by raising the threshold, as a
// share of a test's runs for evidence that is larger by a factor of e. By simulation.
constexpr double kNullRuns = 3, kNullRunsOfOne = 4, kLittleWorth = 50, kCrowding = 0.3;
constexpr int kLooksBetween = 2;  // screenings for each slot, before what was not worth a pool is asked again
constexpr int kMostLost = 3;
// Runs of the lower rung that confirming what turns out to be hopeless counts for: its own, and what its test costs all
// others. By simulation: with 20, 6% fewer gains of one deviation are found.
constexpr double kHopelessRuns = 200;
constexpr double kLeastShare = 1e-5;  // of what may be measured, that is looked at
constexpr int kLooks[] = {1, 4, 12};
// What a further measurement may say: hyperbolic sines of numbers in this range, beyond which no gain lies.
constexpr int kValues = 40;
constexpr double kFirstValue = -6, kLastValue = 1;

// Expected growth of the log evidence of rank_evidence.h by one run on a rung, for a normal effect of `gain` noise
// floors and a pool of the size that such an effect gets: measured by simulation.
constexpr double kMostGrowth = 1.6, kCurvature = 0.19;
double growth(double gain) {
  return gain <= 0 ? 0 : kMostGrowth * (1 - std::exp(-kCurvature * gain * gain));
}
double gain_of_growth(double rate) {
  return rate >= kMostGrowth ? double{INFINITY} : std::sqrt(-std::log(1 - rate / kMostGrowth) / kCurvature);
}

}  // namespace

PolicyOptions campaign_policy() {
  PolicyOptions options;
  options.alpha = 0.05;
  options.base_runs = 20;
  options.most_screens = 16;
  // A campaign sets the costs of its own rungs; these are their ratios. The mean of a run over both is 1.
  const double mean = 0.5 * (1 + 1 / kConfirmBelow);
  options.run_costs = {1 / kConfirmBelow / mean, 1 / mean};
  options.screen_cost = 1 / kScreenBelow / mean;
  return options;
}

SearchPolicy::SearchPolicy(const PolicyOptions& options) : options_(options), prior_(options.relative_noise) {
  CHECK(options.noise_sd > 0 && options.screen_cost > 0 && options.parallel > 0 && options.base_runs > 0);
  CHECK(!options.run_costs.empty());
  flops_left_ = INFINITY;
  if (!options.earlier.empty()) learn();
}

void SearchPolicy::set_noise_sd(double noise_sd, double relative_noise) {
  CHECK(noise_sd > 0);
  options_.noise_sd = noise_sd;
  if (relative_noise > 0) options_.relative_noise = relative_noise;
  prior_.set_relative_noise(options_.relative_noise);
  learn();
}
void SearchPolicy::set_costs(double screen_cost, std::vector<double> run_costs, double gain_flops, double flops_left) {
  CHECK(run_costs.size() == rungs());
  options_.screen_cost = screen_cost;
  options_.run_costs = std::move(run_costs);
  options_.gain_flops = gain_flops;
  flops_left_ = flops_left;
  for (Prospect& kept : prospects_) kept.level = -1;
  fresh_.level = -1;
}

int SearchPolicy::propose(bool listed, bool whole) {
  standings_.emplace_back().whole = whole;
  arrived_.emplace_back();
  prospects_.emplace_back();
  own_endured_.emplace_back();
  rung_of_.emplace_back();
  for (std::vector<int>* counts : {&screens_in_flight_, &screens_given_, &given_, &consumed_, &own_given_, &own_back_})
    counts->push_back(0);
  if (!whole) ++(listed ? listed_in_wave_ : unlisted_in_wave_);
  return static_cast<int>(standings_.size()) - 1;
}
void SearchPolicy::no_more_proposals() {
  exhausted_ = true;
}

double SearchPolicy::level_of_next_test() const {
  return kExpectedFound * discovery_level(options_.alpha, batches_ + 1, 1, 1, discoveries_);
}

const SearchPolicy::Prospect& SearchPolicy::prospect(int proposal) {
  const double level = level_of_next_test();
  const EffectPosterior& p = posterior(proposal);
  Prospect& kept = prospects_[static_cast<size_t>(proposal)];
  if (kept.level == level) return kept;
  kept.level = level;
  kept.confirm = net_gain_of_confirming(p);
  kept.look = net_gain_of_screening(p);
  return kept;
}

double SearchPolicy::cost_of_a_run() const {
  return mean(options_.run_costs);
}

// Runs on a rung until the evidence suffices if the effect is its posterior expectation given that it is better.
double SearchPolicy::confirmation_runs(const EffectPosterior& p, double log_needed, double transfer) const {
  const double better = p.better();
  if (better <= 1e-6) return INFINITY;
  const double rate = growth(transfer * p.expected_gain() / better);
  return rate > 0 ? std::max(2.0, log_needed / rate) : INFINITY;
}

// Net gain in FLOPs: the gain if the effect is real, less the cost of the runs. Without an effect it ends early, on the
// lowest rung, where all begin.
double SearchPolicy::net_gain_of_confirming(const EffectPosterior& p) const {
  const double runs = confirmation_runs(p, -std::log(level_of_next_test()), transfer_), better = p.better();
  const auto count = static_cast<double>(rungs());
  if (runs * count > options_.most_runs) return -INFINITY;
  const double gain = std::max(transfer_ * p.expected_gain() / better, 0.3);
  const double worth = options_.gain_flops * gain / cost_of_a_run();
  const double in_vain =
      std::min(runs, kNullRuns + kNullRunsOfOne / (gain * gain) * (1 + std::log1p(worth / kLittleWorth)));
  return options_.gain_flops * transfer_ * p.expected_gain() - better * runs * count * cost_of_a_run() -
         (1 - better) * in_vain * options_.run_costs.front() - kCrowding / growth(gain) * count * cost_of_a_run();
}

// Net gain in FLOPs of the best number of further screening runs when their result decides about confirmation. Several
// at once, since one alone may have no value where four have much (Frazier and Powell 2010). What they are worth is the
// expected gain of the decisions that they change: were it the difference of two net gains of confirming, a hundredth
// of a large one would hide that they save tests of nothing.
double SearchPolicy::net_gain_of_screening(const EffectPosterior& p) const {
  // No look is worth more than to know all.
  const double most = options_.gain_flops * transfer_ * p.expected_gain() - options_.screen_cost;
  if (most <= 0) return most;
  const double now = net_gain_of_confirming(p);
  double best = -INFINITY;
  for (const int looks : kLooks) {
    const double error = 1.0 / looks + 1.0 / options_.base_runs;
    double expected = std::max(0.0, now) - looks * options_.screen_cost;
    // Over what the mean of these runs may be, in steps that grow with its size: the trapezoidal rule.
    for (int i = 0; i < kValues; ++i) {
      const double u = kFirstValue + (kLastValue - kFirstValue) * i / (kValues - 1), value = std::sinh(u);
      double density = 0;
      for (size_t k = 0; k < kEffectParts; ++k) {
        const double spread = std::sqrt(p.sd[k] * p.sd[k] + error), z = (value - p.mean[k]) / spread;
        if (std::abs(z) < 6) density += p.weight[k] * normal_density(z) / spread;
      }
      const double step = (kLastValue - kFirstValue) / (kValues - 1) * std::cosh(u);
      if (density * step < kLeastShare) continue;
      // What is confirmed now is looked at for the sake of leaving it out, else for that of confirming it.
      const double then =
          std::max(net_gain_of_confirming(p.updated(value, error)), -kHopelessRuns * options_.run_costs.front());
      expected += density * step * std::max(0.0, now > 0 ? -then : then);
    }
    best = std::max(best, expected);
  }
  return best;
}

std::vector<double> SearchPolicy::rungs_to_go(int proposal) const {
  const Standing& p = standings_[static_cast<size_t>(proposal)];
  const double needed = batch_ && p.batch == batches_ ? batch_->log_needed : -std::log(level_of_next_test());
  const EffectPosterior& all = posterior(proposal);
  std::vector<double> runs(rungs());
  for (size_t rung = 0; rung < runs.size(); ++rung) {
    if (!p.confirmed || p.confirmed->rungs()[rung].runs() == 0) {
      runs[rung] = p.screened.empty() ? confirmation_runs(all, needed, transfer_)
                                      : confirmation_runs(belief(p, rung), needed, 1);
      continue;
    }
    const double left = needed - p.confirmed->rungs()[rung].log_e_better();
    if (left <= 0) continue;
    const EffectPosterior here = belief(p, rung);
    const double better = here.better(), rate = better > 1e-6 ? growth(here.expected_gain() / better) : 0;
    runs[rung] = rate > 0 ? std::max(1.0, left / rate) : double{INFINITY};
  }
  return runs;
}

double SearchPolicy::runs_to_go(int proposal) const {
  double sum = 0;
  for (const double runs : rungs_to_go(proposal)) sum += runs;
  return sum;
}

double SearchPolicy::runs_for(double gain) const {
  const double rate = growth(gain);
  return rate > 0 ? static_cast<double>(rungs()) * std::max(-std::log(level_of_next_test()) / rate, 2.0)
                  : double{INFINITY};
}
double SearchPolicy::gain_for(double runs) const {
  const auto count = static_cast<double>(rungs());
  if (runs < 2 * count) return INFINITY;
  return gain_of_growth(-std::log(level_of_next_test()) * count / runs);
}

std::vector<int> SearchPolicy::promising() {
  std::vector<int> found;
  for (size_t i = 0; i < standings_.size(); ++i) {
    const Standing& p = standings_[i];
    if (p.outcome != Outcome::kOpen || p.test > 0 || p.screened.empty() || screens_in_flight_[i] > 0) continue;
    if (prospect(static_cast<int>(i)).confirm > 0) found.push_back(static_cast<int>(i));
  }
  return found;
}

// Waiting costs little, since proposers build on what was screened, confirmed or not, and all of a batch share its
// pool: a confirmation that comes early is paid again by what is found after it. But the budget ends.
bool SearchPolicy::wave_is_over(const std::vector<int>& found) const {
  if (found.empty()) return false;
  if (std::any_of(found.begin(), found.end(), [this](int i) { return standings_[static_cast<size_t>(i)].whole; }))
    return true;
  const double confirming = batch_cost({that_fit(found).front()});
  if (unlisted_in_wave_ >= (listed_in_wave_ > 0 ? 1 : options_.wave) &&
      looked_in_wave_ >= options_.looking * confirming)
    return true;
  // What is left is kept for confirming what looks best, which later proposals may have taken up the others into:
  // nothing else counts in the end.
  return kBatchSafety * confirming + options_.screen_cost >= flops_left_;
}

void SearchPolicy::begin_wave() {
  unlisted_in_wave_ = listed_in_wave_ = 0;
  looked_in_wave_ = 0;
}

SearchPolicy::Action SearchPolicy::next_selection() {
  double best = 0;
  int chosen = -1;
  bool waiting = false;
  for (size_t i = 0; i < standings_.size(); ++i) {
    if (standings_[i].outcome != Outcome::kOpen || standings_[i].test > 0) continue;
    if (screens_in_flight_[i] > 0) {
      waiting = true;
      continue;
    }
    if (screens_given_[i] - standings_[i].screened_from >= options_.most_screens) continue;
    const Prospect& p = prospect(static_cast<int>(i));
    // Looking once more must beat confirming as it is.
    const double net = standings_[i].screened.empty() ? INFINITY : p.look - std::max(0.0, p.confirm);
    if (net > best) best = net, chosen = static_cast<int>(i);
  }
  const double level = level_of_next_test();
  if (!exhausted_ && !(best == INFINITY)) {
    if (fresh_.prior != prior_version_ || fresh_.level != level)
      fresh_ = {0, prior_version_, level, {}, 0, net_gain_of_screening(prior_.prior())};
    // One more look is of no use where what it finds can no longer be confirmed.
    const bool affordable = kBatchSafety * smallest_batch_cost() + options_.screen_cost < flops_left_;
    if ((fresh_.look > best && affordable) || listed_left_) return {Action::Kind::kPropose, {}};
  }
  if (chosen >= 0) {
    const auto at = static_cast<size_t>(chosen);
    ++screens_in_flight_[at];
    return {Action::Kind::kRun, {chosen, Stage::kScreen, screens_given_[at]++}};
  }
  return {waiting ? Action::Kind::kWait : Action::Kind::kDone, {}};
}

SearchPolicy::Action SearchPolicy::next() {
  if (closed_) return {};
  if (!adopted_now_.empty()) return {Action::Kind::kWait, {}};  // the base of now is to be measured first
  if (ablating_) return continue_ablation().value_or(Action{});
  if (enduring_) return continue_endurance();
  while (true) {
    if (batch_) {
      const Action action = continue_batch();
      if (action.kind != Action::Kind::kDone) return action;
      if (!adopted_now_.empty()) return {Action::Kind::kWait, {}};
      continue;  // it is over, or goes on with a higher threshold
    }
    std::vector<int> found = promising();
    const bool over = results_ >= next_batch_at_ && wave_is_over(found);
    if (!over) {
      const Action action = next_selection();
      if (action.kind != Action::Kind::kDone) return action;
    } else if (std::any_of(screens_in_flight_.begin(), screens_in_flight_.end(), [](int n) { return n > 0; })) {
      return {Action::Kind::kWait, {}};
    }
    if (found.empty()) return {};
    begin_batch(std::move(found));
    if (batch_) continue;
    if (!over) return {};
    // What looks promising is not worth its pool yet: another wave.
    begin_wave();
    next_batch_at_ = results_ + kLooksBetween * std::max(options_.parallel, 1);
    if (const Action action = next_selection(); action.kind != Action::Kind::kDone) return action;
    return {};
  }
}

void SearchPolicy::result(const SearchRun& run, double value) {
  if (run.stage == Stage::kConfirm) return take_confirmed(run, std::isfinite(value) ? value : INFINITY);
  if (run.stage == Stage::kEndure) return take_endured(run, std::isfinite(value) ? value : INFINITY);
  if (!std::isfinite(value)) return failed(run, "no finite loss");
  const auto at = static_cast<size_t>(run.proposal);
  CHECK(at < standings_.size());
  Standing& p = standings_[at];
  if (run.stage == Stage::kScreen) {
    --screens_in_flight_[at];
    looked_in_wave_ += options_.screen_cost;
    if (run.number < p.screened_from) return;  // measured against an earlier base
    if (p.screened.empty()) {
      p.screen_noise_sd = options_.noise_sd;
      p.screen_relative_noise = options_.relative_noise;
    }
    p.screened.push_back(value);
    // Often while there is little, then as it grows.
    if (++results_ <= 10 || results_ >= learnt_at_ + results_ / 10) learn();
    return;
  }
  take_ablated(run, value);
}

void SearchPolicy::revise(const SearchRun& run, double difference) {
  Standing& p = standings_.at(static_cast<size_t>(run.proposal));
  CHECK(run.stage == Stage::kScreen);
  const int at = run.number - p.screened_from;
  if (at < 0 || at >= static_cast<int>(p.screened.size())) return;  // beside a base of before
  p.screened[static_cast<size_t>(at)] = difference;
  prospects_[static_cast<size_t>(run.proposal)].evidence = -1;
  learn();
}

void SearchPolicy::screen_anew() {
  for (size_t i = 0; i < standings_.size(); ++i) {
    Standing& p = standings_[i];
    if (p.outcome != Outcome::kOpen || p.test > 0) continue;
    if (screens_in_flight_[i] == 0 && (p.screened.empty() || posterior(static_cast<int>(i)).better() < 0.5)) continue;
    p.screened.clear();
    p.screened_from = screens_given_[i];
  }
}

void SearchPolicy::failed(const SearchRun& run, const std::string& reason) {
  if (run.stage == Stage::kConfirm) return take_confirmed(run, INFINITY);
  if (run.stage == Stage::kEndure) return take_endured(run, INFINITY);
  const auto at = static_cast<size_t>(run.proposal);
  Standing& p = standings_[at];
  if (run.stage == Stage::kScreen) --screens_in_flight_[at];
  if (run.stage == Stage::kAblate) {  // the recipe without it does not even run
    p.ablation_over = true;
    return;
  }
  if (p.outcome != Outcome::kOpen) return;
  p.outcome = Outcome::kFailed;
  p.reason = reason;
}

void SearchPolicy::lost(const SearchRun& run) {
  switch (run.stage) {
    case Stage::kConfirm:
      return take_confirmed(run, std::nullopt);
    case Stage::kEndure:
      return take_endured(run, std::nullopt);
    case Stage::kAblate:
      return take_ablated(run, std::nullopt);
    default:
      --screens_in_flight_[static_cast<size_t>(run.proposal)];
      lose_screening(run);
  }
}

// Its number is not looked at again; a proposal whose runs are lost again and again ends.
void SearchPolicy::lose_screening(const SearchRun& run) {
  Standing& p = standings_[static_cast<size_t>(run.proposal)];
  if (p.outcome != Outcome::kOpen || ++p.lost < kMostLost) return;
  p.outcome = Outcome::kUndecided;
  p.reason = "the machine failed its runs";
}

void SearchPolicy::end(int proposal, Outcome outcome, const std::string& reason) {
  Standing& p = standings_[static_cast<size_t>(proposal)];
  p.outcome = outcome;
  p.reason = reason;
}

void SearchPolicy::close(const std::string& reason) {
  closed_ = true;
  ablating_ = enduring_ = false;
  // What has its evidence is decided; the threshold rises where that is less than was expected.
  while (batch_) {
    for (size_t e = 0; e < batch_->entrants.size(); ++e) {
      if (batch_->states[e] != Entrant::kRunning) continue;
      batch_->states[e] = Entrant::kOver;
      end(batch_->entrants[e], Outcome::kUndecided, reason);
    }
    settle();
  }
  for (Standing& p : standings_)
    if (p.outcome == Outcome::kOpen) {
      p.outcome = p.test > 0 ? Outcome::kUndecided : Outcome::kNotTested;
      p.reason = reason;
    }
}

}  // namespace flywheel::evidence
