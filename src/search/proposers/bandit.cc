#include "search/proposers/bandit.h"

#include <fmt/format.h>

#include <cmath>

namespace flywheel::search {
namespace {

constexpr double kMemory = 0.97;  // of each count per ended trial: half-life 23 trials
constexpr int kTrial = 20;        // own trials before a proposer can be dropped
constexpr double kShare = 0.02;   // of all gain; who brought less in kTrial trials is dropped

// Marsaglia & Tsang 2000; shape of at least 1.
double gamma_sample(double shape, Rng& rng) {
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = rng.normal(), v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log(1 - rng.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

}  // namespace

ProposerBandit::ProposerBandit(const std::vector<std::string>& proposers)
    : arms_(proposers.size()), accounts_(proposers.size()) {
  for (size_t i = 0; i < proposers.size(); ++i) accounts_[i].proposer = proposers[i];
}

int ProposerBandit::choose(Rng& rng, const std::vector<bool>& passed) const {
  // Gain per success and cost per trial are shrunk towards the pooled values until a proposer has its own data.
  double successes = 0, gain = 0, cost = 0, trials = 0;
  for (const Arm& arm : arms_) successes += arm.successes, gain += arm.gain, cost += arm.cost, trials += arm.trials;
  const double usual_gain = successes > 0 ? gain / successes : 1;
  const double usual_cost = cost > 0 && trials > 0 ? cost / trials : 1;
  int best = -1;
  double best_value = 0;
  for (size_t i = 0; i < arms_.size(); ++i) {
    if (passed[i] || accounts_[i].exhausted || !accounts_[i].dropped.empty()) continue;
    const Arm& arm = arms_[i];
    const double a = gamma_sample(1 + arm.successes, rng), b = gamma_sample(1 + arm.misses, rng);
    const double gain_per_success = (arm.gain + usual_gain) / (arm.successes + 1);
    const double price = (arm.cost + usual_cost) / (arm.trials + 1);
    const double value = a / (a + b) * gain_per_success / price;
    if (best < 0 || value > best_value) best = static_cast<int>(i), best_value = value;
  }
  return best;
}

void ProposerBandit::observe(size_t proposer, double gain, double cost_flops) {
  for (Arm& arm : arms_) {
    arm.successes *= kMemory;
    arm.misses *= kMemory;
    arm.gain *= kMemory;
    arm.cost *= kMemory;
    arm.trials *= kMemory;
  }
  Arm& arm = arms_[proposer];
  ProposerAccount& account = accounts_[proposer];
  arm.trials += 1;
  arm.cost += cost_flops;
  account.cost_flops += cost_flops;
  if (gain > 0) {
    arm.successes += 1;
    arm.gain += gain;
    account.gain += gain;
    account.improved += 1;
  } else {
    arm.misses += 1;
  }
  drop_who_brings_nothing();
}

void ProposerBandit::drop_who_brings_nothing() {
  double total = 0;
  size_t left = 0;
  for (const ProposerAccount& account : accounts_) {
    total += account.gain;
    left += account.dropped.empty() && !account.exhausted ? 1 : 0;
  }
  if (total <= 0) return;
  for (ProposerAccount& account : accounts_) {
    const int ended = account.done + account.failed + account.stopped;
    // A user's list is finite and was asked for.
    if (left < 2 || account.proposer == "list" || !account.dropped.empty() || account.exhausted || ended < kTrial)
      continue;
    if (account.gain >= kShare * total) continue;
    account.dropped = fmt::format("{:.1f}% of all gain in {} trials", 100 * account.gain / total, ended);
    --left;
  }
}

}  // namespace flywheel::search
