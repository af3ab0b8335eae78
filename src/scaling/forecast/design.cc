#include "scaling/forecast/design.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/error.h"
#include "scaling/laws/form.h"

namespace flywheel::scaling {
namespace {

constexpr double kLeastGain = 1e-9;  // of ln variance; below, rounding

void require(const DesignSite& site, const char* what) {
  for (const double value : {site.N, site.D, site.flops})
    if (!std::isfinite(value) || value <= 0)
      throw_bad_input("{}: N, D and FLOPs must be finite and above 0, found {}", what, value);
}

// After an observation of site `at` with noise variance `noise`, in place.
void condition(std::vector<double>& covariance, size_t size, size_t at, double noise) {
  const double total = covariance[at * size + at] + noise;
  if (!(total > 0)) return;
  std::vector<double> column(size);
  for (size_t i = 0; i < size; ++i) column[i] = covariance[i * size + at];
  for (size_t i = 0; i < size; ++i)
    for (size_t j = 0; j < size; ++j) covariance[i * size + j] -= column[i] * column[j] / total;
}

}  // namespace

Discrepancy drift_discrepancy(double lowest_flops, double sd) {
  return [=](const DesignSite& a, const DesignSite& b) {
    return sd * sd * std::max(0.0, std::log10(std::min(a.flops, b.flops) / lowest_flops));
  };
}

Design::Design(const DesignProblem& problem) {
  const Form* form = find_form(problem.law.form);
  if (form == nullptr) throw_bad_input("form \"{}\" is not known; there is {}", problem.law.form, form_names());
  if (problem.candidates.empty()) throw_bad_input("a design needs candidate runs, found none");
  if (!(problem.noise_sd > 0)) throw_bad_input("the noise of a run is {}, expected a number above 0", problem.noise_sd);
  const Theta theta = form->internal(problem.law.parameters);
  const size_t parameters = theta.size();
  std::vector<double> prior = problem.prior_sd;
  if (prior.empty()) prior.assign(parameters, kPriorSd);
  if (prior.size() != parameters)
    throw_bad_input("{} prior standard deviations for the {} parameters of {}", prior.size(), parameters, form->name);

  // Sites: existing runs first, so that they can be conditioned on and dropped.
  std::vector<DesignSite> sites = problem.existing;
  sites.insert(sites.end(), problem.candidates.begin(), problem.candidates.end());
  sites.push_back(problem.target);
  std::vector<std::vector<double>> gradients;
  for (const DesignSite& site : sites) {
    require(site, "a run of the design");
    std::vector<double> gradient(kMaxParameters, 0.0);
    form->log_loss(theta.data(), run_of({.N = site.N, .D = site.D, .C = site.flops}), gradient.data(), nullptr);
    gradients.push_back(std::move(gradient));
  }
  const size_t all = sites.size();
  std::vector<double> covariance(all * all);
  for (size_t i = 0; i < all; ++i)
    for (size_t j = 0; j < all; ++j) {
      double sum = problem.discrepancy ? problem.discrepancy(sites[i], sites[j]) : 0;
      for (size_t p = 0; p < parameters; ++p) sum += gradients[i][p] * gradients[j][p] * prior[p] * prior[p];
      covariance[i * all + j] = sum;
    }
  const double noise = problem.noise_sd * problem.noise_sd;
  noise_.assign(problem.candidates.size(), noise);
  const size_t known = problem.existing.size();
  for (size_t i = 0; i < known; ++i) condition(covariance, all, i, noise);
  size_ = all - known;
  for (size_t i = known; i < all; ++i)
    covariance_.insert(covariance_.end(), covariance.begin() + static_cast<std::ptrdiff_t>(i * all + known),
                       covariance.begin() + static_cast<std::ptrdiff_t>((i + 1) * all));
  for (const DesignSite& site : problem.candidates) costs_.push_back(site.flops);
}

Design::Design(std::vector<double> covariance, std::vector<double> costs, std::vector<double> noise_sd)
    : costs_(std::move(costs)), size_(costs_.size() + 1), covariance_(std::move(covariance)) {
  CHECK(covariance_.size() == size_ * size_);
  CHECK(noise_sd.size() == costs_.size());
  for (const double sd : noise_sd) noise_.push_back(sd * sd);
}

double Design::target_sd() const {
  return std::sqrt(std::max(0.0, covariance_.back()));
}

void Design::add(size_t candidate) {
  CHECK(candidate < costs_.size());
  condition(covariance_, size_, candidate, noise_[candidate]);
}

size_t Design::best(double flops, const std::function<bool(size_t)>& may) const {
  size_t best = costs_.size();
  double most = 0;
  const double now = covariance_.back();
  for (size_t c = 0; c < costs_.size(); ++c) {
    if (costs_[c] > flops || (may && !may(c))) continue;
    const double cross = covariance_[c * size_ + size_ - 1];
    const double share = cross * cross / ((covariance_[c * size_ + c] + noise_[c]) * now);
    const double gain = -std::log1p(-std::min(share, 1 - 1e-12));
    if (gain > kLeastGain && gain / costs_[c] > most) most = gain / costs_[c], best = c;
  }
  return best;
}

DesignChoice next_run(const DesignProblem& problem, double flops, int most_replicates) {
  Design design(problem);
  DesignChoice choice;
  choice.replicates = 0;
  choice.sd_before = choice.sd_after = design.target_sd();
  choice.candidate = design.best(flops);
  if (choice.candidate == design.candidates()) return choice;
  while (choice.replicates < most_replicates && design.best(flops - choice.flops) == choice.candidate) {
    design.add(choice.candidate);
    choice.flops += design.cost(choice.candidate);
    ++choice.replicates;
  }
  choice.sd_after = design.target_sd();
  return choice;
}

std::vector<DesignChoice> choose_runs(const DesignProblem& problem, double flops) {
  Design design(problem);
  std::vector<DesignChoice> choices;
  while (true) {
    const size_t best = design.best(flops);
    if (best == design.candidates()) return choices;
    const double before = design.target_sd();
    design.add(best);
    flops -= design.cost(best);
    auto at = std::find_if(choices.begin(), choices.end(), [&](const auto& c) { return c.candidate == best; });
    if (at == choices.end()) at = choices.insert(at, DesignChoice{best, 0, 0, before, before});
    ++at->replicates;
    at->flops += design.cost(best);
    at->sd_after = design.target_sd();
  }
}

}  // namespace flywheel::scaling
