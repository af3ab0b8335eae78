#include "search/proposal_desk.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace flywheel::search {

ProposalDesk::ProposalDesk(Subject& subject, DeskOptions options)
    : subject_(subject),
      options_(std::move(options)),
      team_(options_.proposers, subject.space(), options_.proposer_options, options_.seed),
      taken_(options_.known.begin(), options_.known.end()) {
  if (options_.target_flops == 0) options_.target_flops = options_.rung_flops.back();
}

SearchView ProposalDesk::view() const {
  return {subject_.space(),      trials_,           incumbent(), options_.rung_flops,
          options_.target_flops, options_.noise_sd, &taken_,     bases_};
}

double ProposalDesk::best_of_rung(double rung_flops) const {
  const auto best = best_of_rung_.find(rung_flops);
  return best == best_of_rung_.end() ? std::numeric_limits<double>::infinity() : best->second;
}

std::optional<size_t> ProposalDesk::ask(double most_flops) {
  auto turn = team_.ask(view());
  if (!turn) return std::nullopt;
  Proposal& proposal = turn->proposal;
  Trial trial;
  trial.id = trials_.size() + 1;
  trial.proposer = team_.name(turn->proposer);
  trial.label = proposal.id;
  trial.whole = proposal.whole;
  trial.predicted_gain = proposal.predicted_gain;
  trial.rung_flops = proposal.rung_flops <= most_flops ? proposal.rung_flops : options_.rung_flops.front();
  if (proposal.failure.empty()) {
    const workload::SearchSpace& space = subject_.space();
    taken_.insert(space.identity(proposal.values));
    try {
      trial.values = subject_.runnable(proposal.values);
    } catch (const Error& error) {
      trial.values = std::move(proposal.values);
      proposal.failure = error.what();
    }
    trial.patches = space.patches(trial.values);
    trial.identity = space.identity(trial.values);
    taken_.insert(trial.identity);
  }
  trials_.push_back(std::move(trial));
  whose_.push_back(turn->proposer);
  if (!proposal.failure.empty()) failed(trials_.size() - 1, proposal.failure, 0);
  return trials_.size() - 1;
}

bool ProposalDesk::listed_left() const {
  const auto& all = team_.accounts();
  return std::any_of(all.begin(), all.end(),
                     [](const ProposerAccount& account) { return account.proposer == "list" && !account.exhausted; });
}

std::vector<std::string> ProposalDesk::changes(size_t index, const workload::Configuration& now) const {
  const Trial& trial = trials_.at(index);
  if (trial.proposer == "list") return trial.patches;
  return subject_.space().patches_from(now, trial.values);
}

void ProposalDesk::place(size_t index, const workload::Configuration& configuration) {
  Trial& trial = trials_.at(index);
  if (trial.proposer != "list") return;
  const workload::ConfigurationSpace& space = subject_.space();
  trial.values = space.canonical(space.values_of(configuration));
  trial.identity = space.identity(trial.values);
  taken_.insert(trial.identity);
}

Trial* ProposalDesk::pending(size_t index) {
  Trial& trial = trials_.at(index);
  return trial.state == TrialState::kPending ? &trial : nullptr;
}

void ProposalDesk::end(Trial& trial, TrialState state, double cost_flops) {
  const double charged = cost_flops - trial.cost_flops;
  trial.state = state;
  trial.cost_flops = cost_flops;
  team_.ended(view(), trial, whose_[trial.id - 1], charged);
  options_.on_end(trial);
}

void ProposalDesk::done(size_t index, double loss, double gain, double cost_flops) {
  Trial* trial = pending(index);
  if (trial == nullptr) return;
  trial->loss = loss;
  trial->loss_sd = 0;
  trial->gain = gain;
  end(*trial, TrialState::kDone, cost_flops);
}

void ProposalDesk::done_and_believed(size_t index, double loss, double cost_flops) {
  Trial& trial = trials_.at(index);
  const auto [best, first] =
      best_of_rung_.emplace(trial.rung_flops, loss);  // the first loss of a rung is the reference, not a gain
  const double gain = loss < best->second ? best->second - loss : 0;
  if (gain > 0) best->second = loss;
  if ((first || gain > 0) && trial.rung_flops == best_of_rung_.rbegin()->first) {
    incumbent_ = trial;
    incumbent_->state = TrialState::kDone;
    incumbent_->loss = loss;
    incumbent_->loss_sd = 0;
    incumbent_->gain = gain;
  }
  done(index, loss, gain, cost_flops);
}

void ProposalDesk::stopped(size_t index, double predicted, double sd, std::vector<evidence::CurveSample> curve,
                           double cost_flops) {
  Trial* trial = pending(index);
  if (trial == nullptr) return;
  trial->loss = predicted;
  trial->loss_sd = sd;
  trial->curve = std::move(curve);
  end(*trial, TrialState::kStopped, cost_flops);
}

void ProposalDesk::failed(size_t index, const std::string& reason, double cost_flops) {
  Trial* trial = pending(index);
  if (trial == nullptr) return;
  trial->failure = reason;
  end(*trial, TrialState::kFailed, cost_flops);
}

void ProposalDesk::set_first_incumbent(double base_loss) {
  if (incumbent_) return;
  const workload::SearchSpace& space = subject_.space();
  incumbent_.emplace();
  incumbent_->values = space.centre();
  incumbent_->identity = space.identity(incumbent_->values);
  incumbent_->state = TrialState::kDone;
  incumbent_->rung_flops = options_.rung_flops.front();
  incumbent_->loss = base_loss;
  bases_.push_back(*incumbent_);
}

void ProposalDesk::set_incumbent(const workload::Configuration& configuration, double loss) {
  const workload::ConfigurationSpace& space = subject_.space();
  if (!incumbent_) incumbent_.emplace();
  incumbent_->values = space.canonical(space.values_of(configuration));
  incumbent_->identity = configuration.identity();
  incumbent_->patches = space.patches(incumbent_->values);
  incumbent_->state = TrialState::kDone;
  incumbent_->rung_flops = options_.rung_flops.front();
  incumbent_->loss = loss;
  bases_.push_back(*incumbent_);
  taken_.insert(incumbent_->identity);
}

}  // namespace flywheel::search
