#include "search/proposal_loop.h"

#include <algorithm>
#include <limits>

namespace flywheel::search {
namespace {

constexpr double kThaw = 2;  // times the error rate: a run near the line is not stopped and thawed in turns

size_t index_of(uint64_t id) {
  return static_cast<size_t>(id - 1);
}

}  // namespace

ProposalLoop::ProposalLoop(World& world, LoopOptions options)
    : world_(world),
      options_(std::move(options)),
      rungs_(world.rung_flops()),
      team_(options_.proposers, world.space(), options_.proposer_options, options_.seed) {
  if (options_.target_flops == 0) options_.target_flops = rungs_.back();
  for (const KnownOutcome& known : options_.known) taken_.insert(known.identity);
}

ProposalLoop::~ProposalLoop() = default;

const Trial* ProposalLoop::incumbent() const {
  return best_of_rung_.empty() ? nullptr : &trials_[best_of_rung_.rbegin()->second];
}

SearchView ProposalLoop::view() const {
  return {world_.space(), trials_, incumbent(), rungs_, options_.target_flops, options_.noise_sd, &taken_};
}

bool ProposalLoop::affordable(double flops) const {
  return (options_.max_trials <= 0 || static_cast<int>(trials_.size()) < options_.max_trials) &&
         affordable_flops(flops);
}

bool ProposalLoop::affordable_flops(double flops) const {
  double reserved = 0;  // what is running will still cost
  for (const uint64_t id : running_) {
    const Trial& trial = trials_[index_of(id)];
    reserved += std::max(0.0, trial.rung_flops - trial.cost_flops);
  }
  return options_.max_flops <= 0 || spent_flops_ + reserved + flops <= options_.max_flops * (1 + 1e-12);
}

void ProposalLoop::run() {
  while (step()) {
  }
}

bool ProposalLoop::step() {
  while (static_cast<int>(running_.size()) < options_.slots && (thaw_one() || start_one())) {
  }
  const auto event = world_.next();
  if (!event) return false;
  take(*event);
  return true;
}

bool ProposalLoop::start_one() {
  std::vector<bool> passed(team_.size(), false);
  while (affordable(rungs_.front())) {
    auto turn = team_.ask(view(), passed);
    if (!turn) return false;
    if (start_trial(turn->proposer, std::move(turn->proposal))) return true;
  }
  return false;
}

bool ProposalLoop::start_trial(size_t proposer, Proposal proposal) {
  Trial trial;
  trial.id = trials_.size() + 1;
  trial.proposer = team_.name(proposer);
  trial.rung_flops = affordable(proposal.rung_flops) ? proposal.rung_flops : rungs_.front();
  trial.predicted_gain = proposal.predicted_gain;
  trial.label = proposal.id;
  if (proposal.failure.empty()) {
    trial.values = std::move(proposal.values);
    trial.patches = world_.space().patches(trial.values);
    trial.identity = world_.space().identity(trial.values);
    taken_.insert(trial.identity);
    try {
      world_.start(trial);
      taken_.insert(trial.identity);
    } catch (const Error& error) {
      proposal.failure = error.what();
    }
  }
  trials_.push_back(std::move(trial));
  if (proposal.failure.empty()) {
    running_.insert(trials_.back().id);
    return true;
  }
  trials_.back().failure = proposal.failure;
  end_trial(trials_.back(), TrialState::kFailed);
  return false;
}

void ProposalLoop::take(const WorldEvent& event) {
  Trial& trial = trials_.at(index_of(event.trial));
  spent_flops_ += event.cost_flops - trial.cost_flops;
  trial.cost_flops = event.cost_flops;
  if (!event.curve.empty()) trial.curve = event.curve;
  if (event.kind == WorldEvent::Kind::kProgress) {
    judge(trial);
    return;
  }
  running_.erase(trial.id);
  if (event.kind == WorldEvent::Kind::kFailed) {
    trial.failure = event.failure;
    end_trial(trial, TrialState::kFailed);
    return;
  }
  trial.loss = event.loss;
  trial.loss_sd = 0;
  end_trial(trial, TrialState::kDone);
}

void ProposalLoop::end_trial(Trial& trial, TrialState state) {
  trial.state = state;
  const auto proposer = static_cast<size_t>(
      std::find(options_.proposers.begin(), options_.proposers.end(), trial.proposer) - options_.proposers.begin());
  if (state == TrialState::kDone) {
    const auto best = best_of_rung_.find(trial.rung_flops);
    if (best == best_of_rung_.end()) {
      best_of_rung_[trial.rung_flops] = index_of(trial.id);  // the first sets the mark and is no gain
    } else if (trial.loss < trials_[best->second].loss) {
      trial.gain = trials_[best->second].loss - trial.loss;
      best->second = index_of(trial.id);
    }
  }
  const double charged = trial.cost_flops - charged_[trial.id];
  charged_[trial.id] = trial.cost_flops;
  team_.ended(view(), trial, proposer, charged);
  on_end(trial);
}

std::vector<evidence::Curve> ProposalLoop::finished_curves(double rung_flops) const {
  std::vector<evidence::Curve> curves;
  for (const Trial& trial : trials_)
    if (trial.state == TrialState::kDone && trial.rung_flops == rung_flops && !trial.curve.empty()) {
      curves.push_back(trial.curve);
      if (curves.back().back().fraction < 1) curves.back().push_back({1, trial.loss});
    }
  return curves;
}

double ProposalLoop::loss_to_beat(double rung_flops) const {
  const auto best = best_of_rung_.find(rung_flops);
  return best == best_of_rung_.end() ? std::numeric_limits<double>::infinity() : trials_[best->second].loss;
}

void ProposalLoop::judge(Trial& trial) {
  if (options_.stop_error_rate <= 0 || trial.curve.empty() || exempt_.count(trial.id) != 0) return;
  const evidence::CurveVerdict verdict = evidence::judge_curve(
      trial.curve, finished_curves(trial.rung_flops), loss_to_beat(trial.rung_flops), options_.stop_error_rate);
  if (!verdict.stop) return;
  world_.stop(trial.id);
  running_.erase(trial.id);
  stopped_.push_back(trial.id);
  trial.loss = verdict.predicted;
  trial.loss_sd = verdict.sd;
  end_trial(trial, TrialState::kStopped);
}

// Continues a stopped run of which the curves finished since then no longer say that it cannot win.
bool ProposalLoop::thaw_one() {
  for (size_t i = 0; i < stopped_.size(); ++i) {
    Trial& trial = trials_[index_of(stopped_[i])];
    const double left = std::max(0.0, trial.rung_flops - trial.cost_flops);
    const evidence::CurveVerdict verdict =
        evidence::judge_curve(trial.curve, finished_curves(trial.rung_flops), loss_to_beat(trial.rung_flops),
                              kThaw * options_.stop_error_rate);
    if (verdict.stop || !affordable_flops(left)) continue;
    resume(trial);
    return true;
  }
  return false;
}

bool ProposalLoop::thaw(uint64_t id) {
  if (std::find(stopped_.begin(), stopped_.end(), id) == stopped_.end()) return false;
  Trial& trial = trials_[index_of(id)];
  if (!affordable_flops(std::max(0.0, trial.rung_flops - trial.cost_flops))) return false;
  exempt_.insert(id);
  resume(trial);
  return true;
}

void ProposalLoop::resume(Trial& trial) {
  std::erase(stopped_, trial.id);
  trial.state = TrialState::kPending;
  running_.insert(trial.id);
  world_.resume(trial.id);
}

}  // namespace flywheel::search
