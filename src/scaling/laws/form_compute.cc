// Laws that see more than size and tokens, or less: the rows compute, broken (C alone) and data_constrained (unique
// tokens).
#include <algorithm>
#include <cmath>

#include "scaling/laws/form.h"
#include "scaling/laws/projection.h"

namespace flywheel::scaling {
namespace {

std::vector<Theta> compute_starts(const Sample& sample) {
  std::vector<Theta> thetas;
  for (const Projected& p : projected_starts(sample, Grid::kComputeOnly)) thetas.push_back({p.ln_a, p.ln_e, p.alpha});
  return thetas;
}

std::vector<PriorTerm> compute_prior(const Sample& sample) {
  const double lowest = *std::min_element(sample.ln_l.begin(), sample.ln_l.end());
  return {{1, lowest + std::log(0.6), 0.5}, {2, 0.17, 0.1}};
}

// A smooth law with a turn at each of several places; the amplitude keeps the loss at the break.
std::vector<Theta> broken_starts(const Sample& sample) {
  constexpr size_t kFrom = 20;
  const auto [low, high] = std::minmax_element(sample.ln_c.begin(), sample.ln_c.end());
  const std::vector<Projected> smooth = projected_starts(sample, Grid::kComputeOnly);
  std::vector<Theta> thetas;
  for (size_t i = 0; i < std::min(kFrom, smooth.size()); ++i)
    for (const double place : {0.2, 0.35, 0.5, 0.65, 0.8})
      for (const double turn : {-0.6, -0.25, 0.25, 0.6, 1.5})
        for (const double width : {0.1, 0.5}) {
          const Projected& p = smooth[i];
          const double at = *low + place * (*high - *low), gamma = p.alpha * (1 - 0.5 * turn);
          thetas.push_back({p.ln_a + (gamma - p.alpha) * at, p.ln_e, gamma, turn * p.alpha, at, std::log(width)});
        }
  return thetas;
}

std::vector<PriorTerm> broken_prior(const Sample& sample) {
  const auto [low, high] = std::minmax_element(sample.ln_c.begin(), sample.ln_c.end());
  std::vector<PriorTerm> terms = compute_prior(sample);
  terms.push_back({3, 0, 0.1});
  terms.push_back({4, 0.5 * (*low + *high), 0.25 * (*high - *low) + 0.1});
  terms.push_back({5, std::log(0.5), 1});
  return terms;
}

// Muennighoff et al. 2023 found R*_D = 15.4 and R*_N = 5.3 (section 5).
constexpr double kTokenRepeats = 15.4, kSizeRepeats = 5.3;

std::vector<Theta> data_constrained_starts(const Sample& sample) {
  constexpr size_t kFrom = 60;
  const std::vector<Projected> sums = projected_starts(sample, Grid::kPairs);
  std::vector<Theta> thetas;
  for (size_t i = 0; i < std::min(kFrom, sums.size()); ++i)
    for (const double tokens : {2.0, 5.0, 15.0, 50.0})
      for (const double size : {1.0, 5.0, 25.0}) {
        const Projected& p = sums[i];
        thetas.push_back({p.ln_a, p.ln_b, p.ln_e, p.alpha, p.beta, std::log(tokens), std::log(size)});
      }
  return thetas;
}

std::vector<PriorTerm> data_constrained_prior(const Sample& sample) {
  std::vector<PriorTerm> terms = chinchilla_form().prior(sample);
  terms.push_back({5, std::log(kTokenRepeats), 1});
  terms.push_back({6, std::log(kSizeRepeats), 1});
  return terms;
}

}  // namespace

const Form& compute_form() {
  static const Form form = {"compute",
                            "E + A / C^gamma",
                            "Hoffmann et al. 2022, section 3.1",
                            Form::Sees::kCompute,
                            {{"A", true}, {"E", true}, {"gamma", false}},
                            functions_of(Formula::kCompute),
                            compute_starts,
                            compute_prior};
  return form;
}

const Form& broken_form() {
  static const Form form = {
      "broken",
      "E + A / C^gamma * (1 + (C / break)^(1 / width))^(-change * width)",
      "Caballero et al. 2022, equation 1, one break",
      Form::Sees::kCompute,
      {{"A", true}, {"E", true}, {"gamma", false}, {"change", false}, {"break", true}, {"width", true}},
      functions_of(Formula::kBroken),
      broken_starts,
      broken_prior};
  return form;
}

const Form& data_constrained_form() {
  static const Form form = {
      "data_constrained",
      "E + A / N'^alpha + B / D'^beta, x' = x0 (1 + R (1 - exp(-(x / x0 - 1) / R)))",
      "Muennighoff et al. 2023, equations 5 and 6",
      Form::Sees::kUniqueTokens,
      {{"A", true}, {"B", true}, {"E", true}, {"alpha", false}, {"beta", false}, {"R_D", true}, {"R_N", true}},
      functions_of(Formula::kDataConstrained),
      data_constrained_starts,
      data_constrained_prior};
  return form;
}

}  // namespace flywheel::scaling
