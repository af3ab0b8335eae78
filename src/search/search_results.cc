// How the search loop takes the results of its runs (search_loop.h).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/format.h"
#include "base/statistics.h"
#include "evidence/document_sums.h"
#include "search/search_loop.h"

namespace flywheel::search {

using evidence::Outcome;
using evidence::SearchRun;

namespace {

std::string joined(const std::vector<std::string>& patches) {
  return fmt::format("{}", fmt::join(patches, ", "));
}

}  // namespace

void SearchLoop::tell(const std::vector<RunResult>& results) {
  for (const RunResult& result : results) {
    const auto asked = asked_.find(result.id);
    CHECK(asked != asked_.end(), "a result of a run that was not wanted");
    if (rules_.tested) {
      results_[result.id] = result;
      continue;
    }
    const Asked run = std::move(asked->second);
    asked_.erase(asked);
    take_plain(run, result);
  }
  if (rules_.tested && results_.size() == asked_.size()) digest();
}

// An adoption leads to new runs of the base; the rest of the batch is judged against the new base.
void SearchLoop::digest() {
  if (phase_ == Phase::kBase) take_base();
  for (const int proposal : std::exchange(resumed_, {})) take_resumed(proposal);
  while (!batch_.empty() && phase_ != Phase::kBase) {
    const SearchRun run = batch_.front();
    batch_.pop_front();
    take(run);
  }
  if (!batch_.empty()) return;
  asked_.clear();
  results_.clear();
  if (phase_ == Phase::kAblation || phase_ == Phase::kEndurance) drop_ablated();
}

double SearchLoop::charge(const RunResult& result) {
  double& before = spent_[result.id];
  const double fresh = result.spent_flops - before;
  before = result.spent_flops;
  spent_flops_ += fresh;
  return fresh;
}

// The curve of a finished run, for predicting others of the same base.
void SearchLoop::learn_curve(const RunResult& result, double flops) {
  if (rules_.stop_error > 0 && result.curve.size() > 1) curves_[flops].push_back(result.curve);
}

// The base's runs at the screening rung.
void SearchLoop::take_base() {
  const double flops = desk_.rung_flops().front();
  std::vector<double> losses;
  curves_.clear();  // curves of another base do not apply to this one
  for (const std::string& id : base_ids_) {
    const RunResult& result = results_.at(id);
    charge(result);
    if (result.state != RunResult::State::kDone) continue;
    losses.push_back(result.loss);
    learn_curve(result, flops);
  }
  phase_ = Phase::kSearch;
  if (losses.size() < 2) {
    if (!base_loss_) phase_ = Phase::kOver;
    return;
  }
  base_loss_ = mean(losses);
  // From this base's runs alone, since recipes differ in noise (an unstable first one may be many times noisier).
  if (rules_.least_noise > 0) noise_sd_ = std::max(standard_deviation(losses), rules_.least_noise * *base_loss_);
  policy_.set_noise_sd(noise_sd_, noise_sd_ / std::abs(*base_loss_));
  desk_.set_noise_sd(noise_sd_);
  if (policy_.adoptions() > 0) desk_.set_incumbent(*base_, *base_loss_);
  options_.say(fmt::format("search: the base is at {:.4f} bits per byte at {} (noise {:.4f})", *base_loss_,
                           format_flops(flops), noise_sd_));
}

void SearchLoop::take(const SearchRun& run) {
  const auto found = asked_.find(id_of(run, adoptions_before_));
  CHECK(found != asked_.end());
  const Asked& asked = found->second;
  const RunResult& result = results_.at(asked.run.id);
  const double cost = charge(result);
  if (result.state == RunResult::State::kMissing) return;
  if (run.proposal != evidence::kTheBase) proposals_[static_cast<size_t>(run.proposal)].cost_flops += cost;
  if (result.state == RunResult::State::kGaveUp) return take_given_up(asked, result);
  if (result.state == RunResult::State::kFailed && result.machine) return policy_.lost(run);
  switch (run.stage) {
    case Stage::kConfirm:
      return take_confirmed(asked, result);
    case Stage::kAblate:
      return take_ablated(asked, result);
    case Stage::kEndure:
      return result.state == RunResult::State::kFailed ? policy_.failed(run, result.reason)
                                                       : policy_.result(run, result.loss);
    default:
      if (result.state == RunResult::State::kDone) return take_screening(asked, result);
      policy_.failed(run, result.reason);
      // The planned FLOPs: work lost to kills is not charged to the proposer.
      return desk_.failed(static_cast<size_t>(run.proposal), result.reason, result.flops);
  }
}

void SearchLoop::take_confirmed(const Asked& asked, const RunResult& result) {
  const SearchRun& run = asked.run_of;
  const auto rung = static_cast<size_t>(run.rung);
  if (result.state == RunResult::State::kFailed) {
    policy_.failed(run, result.reason);
  } else if (run.proposal == evidence::kTheBase) {
    pool_.resize(options_.confirm_flops.size());
    pool_[rung].push_back({asked.run.id, result.loss, result.flops, result.seconds});
    policy_.result(run, result.loss);
  } else {
    Proposed& item = proposals_[static_cast<size_t>(run.proposal)];
    // Tested again beside another base: what it ran beside the one before says nothing here.
    if (std::exchange(item.finished_beside, policy_.adoptions()) != policy_.adoptions()) item.finished.clear();
    item.finished.resize(options_.confirm_flops.size());
    item.finished[rung].push_back({asked.run.id, result.loss, result.flops, result.seconds});
    compare_with_pool(run.proposal);
    policy_.result(run, result.loss);
  }
}

void SearchLoop::take_ablated(const Asked& asked, const RunResult& result) {
  const RunResult& base = results_.at(asked.run.id + "-base");
  const double base_cost = charge(base);
  if (base.state == RunResult::State::kMissing) return;
  proposals_[static_cast<size_t>(asked.run_of.proposal)].cost_flops += base_cost;
  if (result.state == RunResult::State::kFailed) return policy_.failed(asked.run_of, result.reason);
  // With the recipe's own run failed, what is without the change is no worse.
  if (base.state != RunResult::State::kDone) return policy_.lost(asked.run_of);
  policy_.result(asked.run_of, result.loss - base.loss);
}

// What the runs of its confirmation so far say beside the pool.
void SearchLoop::compare_with_pool(int proposal) {
  Proposed& item = proposals_[static_cast<size_t>(proposal)];
  item.confirm.assign(options_.confirm_flops.size(), {});
  item.confirm_runs.assign(options_.confirm_flops.size(), {});
  item.confirm_base.assign(options_.confirm_flops.size(), {});
  for (size_t r = 0; r < item.confirm.size(); ++r) {
    evidence::RungPairs& rung = item.confirm[r];
    rung.flops = options_.confirm_flops[r];
    rung.pooled = true;
    double seconds = 0, flops = 0, own_flops = 0;
    for (const PoolRun& run : pool_[r]) {
      rung.base.push_back(run.loss);
      item.confirm_base[r].push_back(run.id);
      seconds += run.seconds / static_cast<double>(pool_[r].size());
      flops += run.flops / static_cast<double>(pool_[r].size());
    }
    if (rung.base.empty()) continue;
    for (const PoolRun& run : item.finished[r]) {
      rung.difference.push_back(run.loss - mean(rung.base));
      item.confirm_runs[r].push_back(run.id);
      own_flops += run.flops / static_cast<double>(item.finished[r].size());
      if (run.seconds > 0 && seconds > 0) rung.time.push_back(run.seconds / seconds);
    }
    if (own_flops > 0 && flops > 0) rung.cost = own_flops / flops;
  }
}

void SearchLoop::take_screening(const Asked& asked, const RunResult& result) {
  const SearchRun& pair = asked.run_of;
  const auto index = static_cast<size_t>(pair.proposal);
  const bool stale =
      policy_.adoptions() != adoptions_before_;  // measured against an earlier base: the policy asks for it again
  const double difference = result.loss - *base_loss_;
  policy_.result(pair, difference);
  if (stale) return;
  learn_curve(result, asked.run.flops);
  if (pair.number == 0) {
    desk_.set_first_incumbent(*base_loss_);
    desk_.done(index, *base_loss_ + difference, policy_.expected_gain(pair.proposal), result.flops);
  }
  // An identical loss: at this size it trains exactly like another proposal and needs no test of its own.
  if (!rules_.same_loss_is_same) return;
  const auto [same, fresh] = trained_.try_emplace({policy_.adoptions(), pair.number, result.loss}, pair.proposal);
  if (!fresh && same->second != pair.proposal)
    policy_.end(pair.proposal, Outcome::kNotTested, fmt::format("it trains as p{} does", same->second));
}

void SearchLoop::take_plain(const Asked& asked, const RunResult& result) {
  const int proposal = asked.run_of.proposal;
  const auto index = static_cast<size_t>(proposal);
  proposals_[index].cost_flops += charge(result);
  if (asked.run.resume && result.state != RunResult::State::kMissing) forget_stop(proposal);
  switch (result.state) {
    case RunResult::State::kDone:
      learn_curve(result, asked.run.flops);
      return desk_.done_and_believed(index, result.loss, result.spent_flops);
    case RunResult::State::kFailed:
      return desk_.failed(index, result.reason, result.spent_flops);
    case RunResult::State::kGaveUp:
      return take_given_up(asked, result);
    case RunResult::State::kMissing:
      return;
  }
}

void SearchLoop::take_given_up(const Asked& asked, const RunResult& result) {
  const SearchRun& pair = asked.run_of;
  const auto index = static_cast<size_t>(pair.proposal);
  ++stopped_;
  saved_flops_ += result.flops - result.done_flops;
  const evidence::Curve curve{{rules_.look_at, result.loss}};
  const double to_beat = mark(asked.run.flops);
  const evidence::CurveVerdict verdict =
      evidence::judge_curve(curve, curves_[asked.run.flops], to_beat, rules_.stop_error);
  if (rules_.tested) {
    const bool stale = policy_.adoptions() != adoptions_before_;
    policy_.result(pair, verdict.predicted - to_beat);
    if (stale) return;
    desk_.set_first_incumbent(to_beat);
  }
  given_up_.try_emplace(pair.proposal,
                        GivenUp{asked, policy_.adoptions(), result.loss, result.flops, result.done_flops});
  desk_.stopped(index, verdict.predicted, verdict.sd, curve, rules_.tested ? result.done_flops : result.spent_flops);
}

// Removes the proposal from the stopped ones.
void SearchLoop::forget_stop(int proposal) {
  const GivenUp& given_up = given_up_.at(proposal);
  --stopped_;
  saved_flops_ -= given_up.flops - given_up.done_flops;
  given_up_.erase(proposal);
  must_resume_.erase(proposal);
}

void SearchLoop::take_resumed(int proposal) {
  Proposed& item = proposals_[static_cast<size_t>(proposal)];
  const Asked asked = given_up_.at(proposal).asked;
  const RunResult& result = results_.at(asked.run.id);
  const double cost = charge(result);
  if (result.state == RunResult::State::kMissing || result.state == RunResult::State::kGaveUp) return;
  item.cost_flops += cost;
  forget_stop(proposal);
  if (result.state == RunResult::State::kFailed) return policy_.end(proposal, Outcome::kFailed, result.reason);
  learn_curve(result, asked.run.flops);
  options_.say(fmt::format("resumed: {}", joined(item.patches)));
  policy_.revise(asked.run_of, result.loss - asked.mark);
}

// Whether it can be adopted together with these: the recipe with all of them is valid, no field of it is set by two,
// and none is a whole recipe, beside which the others were not measured.
bool SearchLoop::fits(int proposal, const std::vector<int>& with) const {
  const auto field_of = [](const std::string& patch) { return patch.substr(0, patch.find('=')); };
  const std::vector<std::string>& own = proposals_[static_cast<size_t>(proposal)].patches;
  const auto is_whole = [this](int i) { return trials()[static_cast<size_t>(i)].whole; };
  if (!with.empty() && (is_whole(proposal) || std::any_of(with.begin(), with.end(), is_whole))) return false;
  try {
    workload::ConfigurationPtr configuration = base_;
    for (const int other : with) {
      const std::vector<std::string>& patches = proposals_[static_cast<size_t>(other)].patches;
      for (const std::string& patch : patches)
        for (const std::string& mine : own)
          if (field_of(patch) == field_of(mine)) return false;
      configuration = subject_.changed(*configuration, patches);
    }
    configuration = subject_.changed(*configuration, own);
    subject_.check(configuration, options_.confirm_flops.back());
  } catch (const Error&) {
    return false;
  }
  return true;
}

void SearchLoop::adopt_found() {
  const std::vector<int> found = policy_.take_adopted();
  if (found.empty()) return;
  tested_base_ = base_;
  for (const int proposal : found) adopt(proposal);
  end_what_the_base_has();
  pool_.clear();
  if (rules_.measures_base_anew && phase_ == Phase::kSearch) phase_ = Phase::kBase;
}

// Open proposals that change nothing of the base of now.
void SearchLoop::end_what_the_base_has() {
  for (size_t i = 0; i < proposals_.size(); ++i) {
    if (policy_.standings()[i].outcome != Outcome::kOpen) continue;
    try {
      if (subject_.changed(*base_, proposals_[i].patches)->identity() != base_->identity()) continue;
    } catch (const Error&) {
      continue;  // it is refused where it is run next
    }
    policy_.end(static_cast<int>(i), Outcome::kNotTested, kHasIt);
  }
}

void SearchLoop::adopt(int proposal) {
  const auto index = static_cast<size_t>(proposal);
  Proposed& item = proposals_[index];
  const ConfirmedEffect effect = confirmed(proposal);
  item.own = subject_.changed(*tested_base_, item.patches);
  const workload::ConfigurationPtr next = subject_.changed(*base_, item.patches);
  item.patches = own_patches(item.patches, *next);  // some may have been adopted since it was proposed
  base_ = next;
  item.identity = base_->identity();
  adopted_order_.push_back(proposal);
  const evidence::Interval& interval = effect.difference;
  options_.say(fmt::format("adopted: {} ({}): {:+.4f} bits per byte (90%: {:+.4f} to {:+.4f}, {} runs)",
                           item.label.empty() ? item.proposer : item.label, joined(item.patches), interval.value,
                           interval.low, interval.high, policy_.standings()[index].confirmed->runs()));
}

// Ablation: a change adopted early may have no effect beside later ones.
void SearchLoop::drop_ablated() {
  for (size_t i = 0; i < proposals_.size(); ++i) {
    const int proposal = static_cast<int>(i);
    if (policy_.standings()[i].outcome != Outcome::kDropped || !dropped_.insert(proposal).second) continue;
    base_ = without(proposal);
    options_.say(fmt::format("dropped again: {}: {}", joined(proposals_[i].patches), policy_.standings()[i].reason));
  }
}

ConfirmedEffect SearchLoop::confirmed(int proposal) const {
  const Proposed& item = proposals_[static_cast<size_t>(proposal)];
  std::vector<evidence::RungPairs> rungs = item.confirm;
  const evidence::ReportedEffect reported = policy_.reported(proposal);
  ConfirmedEffect result;
  for (size_t r = 0; r < rungs.size(); ++r) {
    if (!rungs[r].difference.empty())
      rungs[r].sampling = options_.sampling_error(item.confirm_base[r], item.confirm_runs[r]);
    result.sampling = evidence::wider(result.sampling, rungs[r].sampling, evidence::kWorthLevel);
    for (double& difference : rungs[r].difference) difference *= reported.shrinkage;
  }
  result.effect = evidence::paired_effect(rungs);
  if (item.time) result.effect.time = *item.time;
  result.difference = evidence::widened(reported.difference, result.sampling, evidence::kWorthLevel);
  return result;
}

// The budget's own currency decides. Runs beside each other cost the same FLOPs, so the test itself decides under a
// budget of FLOPs; what rounding to whole steps leaves between them is charged here. Under a budget of time a change
// must save more than it adds, and surely so where it is surely slower.
std::optional<evidence::PolicyOptions::Objection> SearchLoop::objection(int proposal) {
  auto [effect, difference, sampling] = confirmed(proposal);
  const evidence::Interval compute = effect.multiplier_of(difference);
  const auto recorded =
      options_.time_ratio && !std::isnan(effect.time.value) ? options_.time_ratio(proposal, effect.time) : std::nullopt;
  if (!recorded) {
    if (!(compute.value < 1)) return std::nullopt;  // also when the multiplier is not known (NaN)
    return {{Outcome::kRejected, fmt::format("better, but not at equal cost: {:.3f}x the compute", compute.value)}};
  }
  effect.time = *recorded;
  proposals_[static_cast<size_t>(proposal)].time = recorded;
  const evidence::Interval time = effect.time_multiplier_of(difference);
  const std::string beside = fmt::format("{:.2f}x the time for {:.2f}x the compute", recorded->value, compute.value);
  if (time.value < 1) return {{Outcome::kRejected, "better, but " + beside}};
  if (recorded->low > 1 && !(time.low > 1))
    return {{Outcome::kUndecided,
             fmt::format("better, but slower, and whether it is worth its time cannot be told: {}", beside)}};
  return std::nullopt;
}

}  // namespace flywheel::search
