#include "search/search_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/error.h"

namespace flywheel::search {

using evidence::Outcome;
using evidence::SearchRun;
using Action = evidence::SearchPolicy::Action;

namespace {

constexpr int kMostFailures = 100;                          // of proposals in a row, after which results are waited for
constexpr int kSearchSeeds = 100;                           // replicates of the base and of screenings are from here on
constexpr int kAblationSeeds = 500, kEnduranceSeeds = 700;  // within the 1,000 of a proposal

}  // namespace

std::string id_of(const SearchRun& run, int adoptions) {
  const std::string whose =
      run.proposal == evidence::kTheBase ? fmt::format("base{}", adoptions) : fmt::format("p{}", run.proposal);
  if (run.stage != Stage::kConfirm) return fmt::format("{}-{}-{}", name(run.stage), whose, run.number);
  return fmt::format("{}-{}-r{}-{}", name(run.stage), whose, run.rung, run.number);
}

SearchLoop::SearchLoop(Subject& subject, LoopOptions options)
    : subject_(subject),
      options_(std::move(options)),
      rules_(options_.rules),
      start_(subject.base()),
      base_(start_),
      desk_(subject, options_.desk),
      policy_([this] {
        evidence::PolicyOptions policy = options_.rules.policy;
        policy.parallel = std::max(1, options_.slots);
        policy.objection = [this](int proposal) { return objection(proposal); };
        policy.fits = [this](int proposal, const std::vector<int>& with) { return fits(proposal, with); };
        policy.sampling_sd = [this](int proposal) {
          const auto sampling = confirmed(proposal).sampling;
          return sampling && std::isfinite(sampling->sd) ? sampling->sd : 0.0;
        };
        return policy;
      }()),
      phase_(rules_.tested ? Phase::kBase : Phase::kSearch),
      noise_sd_(rules_.policy.noise_sd) {
  if (!rules_.tested) return;
  CHECK(options_.confirm_flops.size() == rules_.policy.run_costs.size(), "a cost for each rung");
  desk_.take(start_->identity());
}

void SearchLoop::set_flops_left(double flops, double for_search) {
  // A gain of one noise floor is valued at the FLOPs that lower the top rung's loss by the same amount.
  const double share = noise_sd_ / base_loss_.value() / std::abs(evidence::kUsualSlope);
  policy_.set_costs(desk_.rung_flops().front(), options_.confirm_flops, share * flops, for_search);
}

void SearchLoop::close(const std::string& reason) {
  policy_.close(reason);
  adopt_found();
  phase_ = Phase::kOver;
}

bool SearchLoop::leave_one_out() {
  if (policy_.to_leave_out().empty()) return false;
  policy_.ablate();
  phase_ = Phase::kAblation;
  return true;
}

bool SearchLoop::endure() {
  if (!base_loss_ || !policy_.endure()) return false;
  phase_ = Phase::kEndurance;
  return true;
}

// ---- choosing runs --------------------------------------------------------------------------------------------------

std::vector<WantedRun> SearchLoop::next() {
  if (phase_ == Phase::kOver || (rules_.tested && asked_.size() != results_.size())) return {};
  if (phase_ == Phase::kBase) return base_runs();
  std::vector<WantedRun> runs = batch();
  if (phase_ == Phase::kBase) return base_runs();  // of what was adopted just now
  if (!runs.empty() || !rules_.tested) return runs;
  if (phase_ == Phase::kSearch) {
    policy_.close("nothing left is worth its FLOPs");
    adopt_found();
  }
  phase_ = Phase::kOver;
  return {};
}

WantedRun SearchLoop::wanted(const std::string& id, Stage stage, workload::ConfigurationPtr configuration, double flops,
                             int replicate) const {
  WantedRun run;
  run.id = id;
  run.stage = stage;
  run.configuration = std::move(configuration);
  run.flops = flops;
  run.replicate = replicate;
  if (stage == Stage::kConfirm || stage == Stage::kAblate)
    run.split = protocol::Split::kAudit;
  else if (rules_.stop_error > 0 && stage != Stage::kEndure)
    run.look_at = rules_.look_at;
  return run;
}

std::vector<WantedRun> SearchLoop::base_runs() {
  std::vector<WantedRun> runs;
  base_ids_.clear();
  for (int i = 0; i < rules_.policy.base_runs; ++i) {
    runs.push_back(wanted(fmt::format("base-{}-s{}", policy_.adoptions(), i), Stage::kBase, base_,
                          desk_.rung_flops().front(), kSearchSeeds + i));
    base_ids_.push_back(runs.back().id);
    asked_[runs.back().id] = {runs.back(), {}, 0};
  }
  return runs;
}

Action SearchLoop::decide() {
  if (rules_.tested) {
    policy_.set_listed_left(desk_.listed_left());
    return policy_.next();
  }
  if (fresh_ >= 0) return {Action::Kind::kRun, {std::exchange(fresh_, -1), Stage::kScreen, 0, 0}};
  const bool more = options_.max_trials <= 0 || static_cast<int>(trials().size()) < options_.max_trials;
  return {more && affordable(desk_.rung_flops().front()) ? Action::Kind::kPropose : Action::Kind::kDone, {}};
}

// As many runs as there are slots, and those to be resumed.
std::vector<WantedRun> SearchLoop::batch() {
  std::vector<WantedRun> runs;
  adoptions_before_ = policy_.adoptions();
  int failures = 0;  // of proposals in a row
  while (static_cast<int>(asked_.size()) < std::max(options_.slots, 1)) {
    if (!rules_.tested) {
      if (const std::vector<int> found = to_resume(); !found.empty()) {
        want_resumed(found.front(), runs);
        continue;
      }
    }
    const Action action = decide();
    adopt_found();
    if (phase_ == Phase::kBase) break;
    if (action.kind == Action::Kind::kPropose) {
      if (!propose() && !rules_.tested) break;  // results that arrive later may lead to further proposals
      // Where all that could run is running, a proposer may go on naming what cannot.
      failures = trials().empty() || trials().back().state != TrialState::kFailed ? 0 : failures + 1;
      if (!rules_.tested && failures >= kMostFailures) break;
      continue;
    }
    if (action.kind != Action::Kind::kRun) break;
    want(action.run, runs);
  }
  if (rules_.tested && !runs.empty())
    for (const int proposal : resumed_ = to_resume()) want_resumed(proposal, runs);
  return runs;
}

// False when no proposer has anything more.
bool SearchLoop::propose() {
  const auto index = desk_.ask(most_affordable());
  if (!index) {
    policy_.no_more_proposals();
    return false;
  }
  const Trial& trial = trials()[*index];
  const int id = static_cast<int>(*index);
  Proposed& item = proposals_.emplace_back();
  item.proposer = trial.proposer;
  item.label = trial.label;
  item.patches = trial.patches;
  const bool failed = trial.state == TrialState::kFailed;
  if (!rules_.tested) {
    if (!failed) fresh_ = id;
    return true;
  }
  CHECK(policy_.propose(/*listed=*/trial.proposer == "list", trial.whole) == id);
  if (failed) {
    policy_.end(id, Outcome::kFailed, trial.failure);
    return true;
  }
  try {
    item.patches = desk_.changes(*index, *base_);
    const workload::ConfigurationPtr configuration = subject_.changed(*base_, item.patches);
    desk_.place(*index, *configuration);
    // A listed change may be part of the base already; points of the space are always new.
    if (configuration->identity() == base_->identity()) {
      policy_.end(id, Outcome::kNotTested, kHasIt);
      return true;
    }
    const auto [same, fresh] = proposed_.try_emplace(configuration->identity(), id);
    if (!fresh) {
      policy_.end(id, Outcome::kNotTested, fmt::format("the same recipe as p{}", same->second));
      return true;
    }
    item.patches = own_patches(item.patches, *configuration);
    subject_.check(configuration, desk_.rung_flops().front());
  } catch (const Error& error) {
    policy_.end(id, Outcome::kFailed, error.what());
    desk_.failed(*index, error.what(), 0);
  }
  return true;
}

// The patches that the base does not have yet. Proposers that search around the incumbent repeat what was adopted.
std::vector<std::string> SearchLoop::own_patches(const std::vector<std::string>& patches,
                                                 const workload::Configuration& result) const {
  std::vector<std::string> own;
  workload::ConfigurationPtr now = base_;
  try {
    for (const std::string& patch : patches) {
      const workload::ConfigurationPtr then = subject_.changed(*now, {patch});
      if (then->identity() != now->identity()) own.push_back(patch);
      now = then;
    }
  } catch (const Error&) {
    return patches;  // valid only together
  }
  return now->identity() == result.identity() ? own : patches;
}

// The start with all adopted changes in order, except this one.
workload::ConfigurationPtr SearchLoop::without(int proposal) const {
  workload::ConfigurationPtr configuration = start_;
  for (const int i : adopted_order_)
    if (i != proposal && policy_.standings()[static_cast<size_t>(i)].outcome == Outcome::kAdopted)
      configuration = subject_.changed(*configuration, proposals_[static_cast<size_t>(i)].patches);
  return configuration;
}

double SearchLoop::flops_of(const SearchRun& run) const {
  if (run.stage == Stage::kConfirm || run.stage == Stage::kAblate)
    return options_.confirm_flops[static_cast<size_t>(run.rung)];
  // Of endurance many runs count, and no scale.
  if (run.stage == Stage::kEndure) return std::min(desk_.rung_flops().front(), options_.confirm_flops.front());
  return run.proposal == evidence::kTheBase ? desk_.rung_flops().front()
                                            : trials()[static_cast<size_t>(run.proposal)].rung_flops;
}

double SearchLoop::mark(double flops) const {
  return rules_.tested ? base_loss_.value() : desk_.best_of_rung(flops);
}

workload::ConfigurationPtr SearchLoop::configuration_of(const SearchRun& run) const {
  if (run.proposal == evidence::kTheBase) return base_;
  const auto index = static_cast<size_t>(run.proposal);
  switch (run.stage) {
    case Stage::kAblate:
      return without(run.proposal);
    case Stage::kEndure:
      return proposals_[index].own;
    default:
      return rules_.tested ? subject_.changed(*base_, proposals_[index].patches)
                           : subject_.space().configuration(trials()[index].values);
  }
}

std::vector<SearchLoop::Asked> SearchLoop::runs_of(const SearchRun& run) {
  const std::string id = id_of(run, policy_.adoptions());
  const double flops = flops_of(run);
  const workload::ConfigurationPtr configuration = configuration_of(run);
  if (run.stage == Stage::kScreen) {
    Asked asked{wanted(id, Stage::kScreen, configuration, flops, kSearchSeeds + run.number), run, mark(flops)};
    if (rules_.stop_error > 0 && std::isfinite(asked.mark))
      asked.run.stop_above = evidence::stopping_loss(curves_[flops], rules_.look_at, asked.mark, rules_.stop_error);
    return {asked};
  }
  // No seed is used for two runs, but for the two of a pair.
  const int stage_seeds = run.stage == Stage::kAblate   ? kAblationSeeds
                          : run.stage == Stage::kEndure ? kEnduranceSeeds
                                                        : 0;
  const int seed = (run.proposal == evidence::kTheBase ? kPoolSeeds + 1000 * policy_.adoptions()
                                                       : kConfirmSeeds + 1000 * (run.proposal + 1)) +
                   run.number + stage_seeds;
  std::vector<Asked> runs{{wanted(id, run.stage, configuration, flops, seed), run, 0}};
  if (run.stage == Stage::kAblate) runs.push_back({wanted(id + "-base", run.stage, base_, flops, seed), run, 0});
  return runs;
}

void SearchLoop::want(const SearchRun& run, std::vector<WantedRun>& runs) {
  try {
    for (Asked& asked : runs_of(run)) {
      asked.run.proposal = run.proposal;
      if (run.proposal != evidence::kTheBase)
        proposals_[static_cast<size_t>(run.proposal)].runs.push_back(asked.run.id);
      runs.push_back(asked.run);
      asked_[asked.run.id] = std::move(asked);
    }
    if (rules_.tested) batch_.push_back(run);
  } catch (const Error& error) {
    if (rules_.tested)
      policy_.failed(run, error.what());
    else
      desk_.failed(static_cast<size_t>(run.proposal), error.what(), 0);
  }
}

// ---- runs that gave up ----------------------------------------------------------------------------------------------

bool SearchLoop::may_go_on(const GivenUp& given_up) const {
  const double flops = given_up.asked.run.flops;
  const evidence::Curve curve{{rules_.look_at, given_up.loss}};
  const auto finished = curves_.find(flops);
  const std::vector<evidence::Curve> none;
  return !evidence::judge_curve(curve, finished == curves_.end() ? none : finished->second, mark(flops),
                                rules_.resume_error)
              .stop;
}

// Stopped proposals that the curves finished since then no longer rule out, or that resume() asked for.
std::vector<int> SearchLoop::to_resume() const {
  std::vector<int> found;
  for (const auto& [proposal, given_up] : given_up_) {
    bool wanted_more = must_resume_.contains(proposal);
    if (rules_.tested) {
      if (given_up.adoptions != policy_.adoptions()) continue;
      if (policy_.standings()[static_cast<size_t>(proposal)].outcome != Outcome::kOpen) continue;
      const int number = given_up.asked.run_of.number;
      for (const SearchRun& run : batch_)
        wanted_more =
            wanted_more || (run.proposal == proposal && (run.stage != Stage::kScreen || run.number != number));
    }
    if (!wanted_more && !may_go_on(given_up)) continue;
    if (affordable(given_up.asked.run.flops - given_up.done_flops)) found.push_back(proposal);
  }
  return found;
}

void SearchLoop::want_resumed(int proposal, std::vector<WantedRun>& runs) {
  GivenUp& given_up = given_up_.at(proposal);
  Asked asked = given_up.asked;
  asked.run.resume = true;
  runs.push_back(asked.run);
  if (!rules_.tested) desk_.reopen(static_cast<size_t>(proposal));
  asked_[asked.run.id] = std::move(asked);
}

bool SearchLoop::resume(int proposal) {
  const auto given_up = given_up_.find(proposal);
  if (given_up == given_up_.end() || must_resume_.contains(proposal)) return false;
  if (!affordable(given_up->second.asked.run.flops - given_up->second.done_flops)) return false;
  must_resume_.insert(proposal);
  return true;
}

// ---- the budget of the plain rules ----------------------------------------------------------------------------------

double SearchLoop::most_affordable() const {
  if (rules_.tested) return 0;
  if (options_.max_flops <= 0) return std::numeric_limits<double>::infinity();
  double reserved = 0;  // what is in flight will still cost
  for (const auto& [id, asked] : asked_) {
    const auto spent = spent_.find(id);
    reserved += std::max(0.0, asked.run.flops - (spent == spent_.end() ? 0 : spent->second));
  }
  return options_.max_flops * (1 + 1e-12) - spent_flops_ - reserved;
}

bool SearchLoop::affordable(double flops) const {
  return rules_.tested || flops <= most_affordable();
}

}  // namespace flywheel::search
