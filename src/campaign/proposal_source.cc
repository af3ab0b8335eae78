#include "campaign/proposal_source.h"

namespace flywheel::campaign {
namespace {

// The patches that a list mentions, so that the space can express them.
std::vector<std::string> patches_in(const std::string& text) {
  std::vector<std::string> patches;
  for (size_t at = 0; (at = text.find('"', at)) != std::string::npos;) {
    const size_t end = text.find('"', at + 1);
    if (end == std::string::npos) break;
    const std::string word = text.substr(at + 1, end - at - 1);
    if (word.find('=') != std::string::npos && word.find('.') != std::string::npos) patches.push_back(word);
    at = end + 1;
  }
  return patches;
}

}  // namespace

ProposalSource::ProposalSource(const recipe::Recipe& base, SourceOptions options)
    : options_(std::move(options)),
      space_(base, patches_in(options_.list)),
      team_(options_.proposers, space_, {.list = options_.list, .list_source = options_.list_source, .prior = {}},
            options_.seed),
      now_(base) {
  taken_.insert(recipe::recipe_hash(base));
  taken_.insert(options_.known.begin(), options_.known.end());
}

search::SearchView ProposalSource::view() const {
  search::SearchView v{.space = space_, .trials = trials_, .rung_flops = options_.rung_flops};
  v.incumbent = incumbent_ ? &*incumbent_ : nullptr;
  v.target_flops = options_.target_flops;
  v.noise_sd = noise_sd_;
  v.taken = &taken_;
  return v;
}

std::optional<ProposalSource::Asked> ProposalSource::ask() {
  auto turn = team_.ask(view());
  if (!turn) return std::nullopt;
  search::Proposal& proposal = turn->proposal;
  search::Trial trial;
  trial.id = trials_.size() + 1;
  trial.proposer = team_.name(turn->proposer);
  trial.label = proposal.id;
  trial.predicted_gain = proposal.predicted_gain;
  trial.rung_flops = options_.rung_flops.front();
  if (proposal.failure.empty()) {
    trial.values = std::move(proposal.values);
    trial.patches = space_.patches(trial.values);
    trial.identity = space_.identity(trial.values);
    taken_.insert(trial.identity);
  }
  Asked asked{trials_.size(), trial.proposer, trial.label, trial.patches, proposal.failure};
  if (proposal.failure.empty() && trial.proposer != "list") asked.patches = space_.patches_from(now_, trial.values);
  trials_.push_back(std::move(trial));
  whose_.push_back(turn->proposer);
  if (!asked.failure.empty()) failed(asked.trial, asked.failure, 0);
  return asked;
}

search::Trial* ProposalSource::pending(size_t index) {
  search::Trial& trial = trials_.at(index);
  return trial.state == search::TrialState::kPending ? &trial : nullptr;
}

void ProposalSource::end(search::Trial& trial, search::TrialState state, double cost_flops) {
  trial.state = state;
  trial.cost_flops = cost_flops;
  team_.ended(view(), trial, whose_[trial.id - 1], cost_flops);
}

void ProposalSource::set_first_incumbent(double base_loss) {
  if (incumbent_) return;
  incumbent_.emplace();
  incumbent_->values = space_.centre();
  incumbent_->identity = space_.identity(incumbent_->values);
  incumbent_->state = search::TrialState::kDone;
  incumbent_->rung_flops = options_.rung_flops.front();
  incumbent_->loss = base_loss;
}

void ProposalSource::stopped(size_t index, double predicted, double sd, std::vector<evidence::CurvePoint> curve,
                             double base_loss, double cost_flops) {
  set_first_incumbent(base_loss);
  search::Trial* trial = pending(index);
  if (trial == nullptr) return;
  trial->loss = predicted;
  trial->loss_sd = sd;
  trial->curve = std::move(curve);
  end(*trial, search::TrialState::kStopped, cost_flops);
}

void ProposalSource::observe(size_t index, double loss, double base_loss, double gain, double cost_flops) {
  set_first_incumbent(base_loss);
  search::Trial* trial = pending(index);
  if (trial == nullptr) return;
  trial->loss = loss;
  trial->gain = gain;
  end(*trial, search::TrialState::kDone, cost_flops);
}

void ProposalSource::failed(size_t index, const std::string& reason, double cost_flops) {
  search::Trial* trial = pending(index);
  if (trial == nullptr) return;
  trial->failure = reason;
  end(*trial, search::TrialState::kFailed, cost_flops);
}

void ProposalSource::adopt(const recipe::Recipe& recipe, double loss) {
  if (!incumbent_) incumbent_.emplace();
  now_ = recipe;
  incumbent_->values = space_.canonical(space_.values_of(recipe));
  incumbent_->identity = recipe::recipe_hash(recipe);
  incumbent_->patches = space_.patches(incumbent_->values);
  incumbent_->state = search::TrialState::kDone;
  incumbent_->rung_flops = options_.rung_flops.front();
  incumbent_->loss = loss;
  taken_.insert(incumbent_->identity);
}

}  // namespace flywheel::campaign
