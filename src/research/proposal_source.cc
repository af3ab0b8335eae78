#include "research/proposal_source.h"

#include <algorithm>
#include <cmath>

namespace flywheel::research {
namespace {

constexpr int kAsks = 4;

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

ProposalSource::ProposalSource(const Recipe& base, SourceOptions options)
    : options_(std::move(options)),
      space_(base, patches_in(options_.list)),
      choice_(options_.seed, 0x736f75726365),
      bandit_(options_.proposers) {
  ProposerOptions made;
  made.list = options_.list;
  made.list_source = options_.list_source;
  for (size_t i = 0; i < options_.proposers.size(); ++i) {
    proposers_.push_back(make_proposer(options_.proposers[i], space_, made));
    draws_.emplace_back(options_.seed, 0x70726f70 + i);
  }
  taken_.insert(recipe_hash(base));
  taken_.insert(options_.known.begin(), options_.known.end());
}

SearchView ProposalSource::view() const {
  SearchView v{.space = space_, .trials = trials_, .rung_flops = options_.rung_flops};
  v.incumbent = incumbent_ ? &*incumbent_ : nullptr;
  v.target_flops = options_.target_flops;
  v.noise_sd = noise_sd_;
  v.taken = &taken_;
  return v;
}

std::optional<ProposalSource::Asked> ProposalSource::ask() {
  std::vector<bool> passed(proposers_.size(), false);
  while (true) {
    int chosen = bandit_.choose(choice_, passed);
    // What somebody listed is asked for every other time: the bandit cannot know that it was wanted.
    if (list_turn_)
      for (size_t i = 0; i < proposers_.size(); ++i)
        if (proposers_[i]->name() == "list" && !passed[i] && !bandit_.accounts()[i].exhausted)
          chosen = static_cast<int>(i);
    if (chosen < 0) return std::nullopt;
    const auto proposer = static_cast<size_t>(chosen);
    std::optional<Proposal> proposal;
    for (int i = 0; i < kAsks && !proposal; ++i) {
      proposal = proposers_[proposer]->propose(view(), draws_[proposer]);
      if (!proposal) break;
      if (proposal->failure.empty() && view().is_taken(space_.identity(proposal->values))) {
        ++bandit_.accounts()[proposer].repeats;
        proposal.reset();
      }
    }
    if (!proposal) {
      passed[proposer] = true;
      bandit_.accounts()[proposer].exhausted = proposers_[proposer]->name() == "list";
      continue;
    }
    list_turn_ = proposers_[proposer]->name() != "list";
    ++bandit_.accounts()[proposer].proposed;
    Trial trial;
    trial.id = trials_.size() + 1;
    trial.proposer = proposers_[proposer]->name();
    trial.label = proposal->id;
    trial.predicted_gain = proposal->predicted_gain;
    trial.rung_flops = options_.rung_flops.front();
    trial.failure = proposal->failure;
    if (trial.failure.empty()) {
      trial.values = std::move(proposal->values);
      trial.patches = space_.patches(trial.values);
      trial.identity = space_.identity(trial.values);
      taken_.insert(trial.identity);
    }
    Asked asked{trials_.size(), trial.proposer, trial.label, trial.patches, trial.failure};
    trials_.push_back(std::move(trial));
    whose_.push_back(proposer);
    if (!asked.failure.empty()) failed(asked.trial, asked.failure, 0);
    return asked;
  }
}

void ProposalSource::end(Trial& trial) {
  const size_t proposer = whose_[trial.id - 1];
  ProposerAccount& account = bandit_.accounts()[proposer];
  (trial.state == TrialState::kFailed ? account.failed : account.done) += 1;
  bandit_.observe(proposer, trial.gain, trial.cost_flops);
  for (const auto& each : proposers_) each->observe(view(), trial);
}

void ProposalSource::observe(size_t index, double loss, double base_loss, double gain, double cost_flops) {
  if (!incumbent_) {
    incumbent_.emplace();
    incumbent_->values = space_.centre();
    incumbent_->identity = space_.identity(incumbent_->values);
    incumbent_->state = TrialState::kDone;
    incumbent_->rung_flops = options_.rung_flops.front();
    incumbent_->loss = best_loss_ = base_loss;
  }
  Trial& trial = trials_.at(index);
  trial.state = TrialState::kDone;
  trial.loss = loss;
  trial.cost_flops = cost_flops;
  trial.gain = gain;
  end(trial);
}

void ProposalSource::failed(size_t index, const std::string& reason, double cost_flops) {
  Trial& trial = trials_.at(index);
  trial.state = TrialState::kFailed;
  trial.failure = reason;
  trial.cost_flops = cost_flops;
  end(trial);
}

void ProposalSource::adopt(const Recipe& recipe, double loss) {
  if (!incumbent_) incumbent_.emplace();
  incumbent_->values = space_.canonical(space_.values_of(recipe));
  incumbent_->identity = recipe_hash(recipe);
  incumbent_->patches = space_.patches(incumbent_->values);
  incumbent_->state = TrialState::kDone;
  incumbent_->rung_flops = options_.rung_flops.front();
  incumbent_->loss = best_loss_ = loss;
  taken_.insert(incumbent_->identity);
}

}  // namespace flywheel::research
