// Chinchilla's law and its kin that see size and tokens: the rows chinchilla, tied, kappa.
#include <algorithm>
#include <cmath>

#include "scaling/laws/form.h"
#include "scaling/laws/projection.h"

namespace flywheel::scaling {
namespace {

enum { kLnA, kLnB, kLnE, kAlpha, kBeta, kLnKappa };

std::vector<Theta> starts(const Sample& sample) {
  std::vector<Theta> thetas;
  for (const Projected& p : projected_starts(sample, Grid::kPairs))
    thetas.push_back({p.ln_a, p.ln_b, p.ln_e, p.alpha, p.beta});
  return thetas;
}

std::vector<Theta> tied_starts(const Sample& sample) {
  std::vector<Theta> thetas;
  for (const Projected& p : projected_starts(sample, Grid::kTied)) thetas.push_back({p.ln_a, p.ln_b, p.ln_e, p.alpha});
  return thetas;
}

// Each term to the power of 1 / kappa, so that the larger one keeps its course.
std::vector<Theta> kappa_starts(const Sample& sample) {
  constexpr size_t kFrom = 200;
  std::vector<Theta> thetas;
  const std::vector<Projected> sums = projected_starts(sample, Grid::kPairs);
  for (size_t i = 0; i < std::min(kFrom, sums.size()); ++i)
    for (const double k : {0.2, 0.35, 0.5, 0.7, 1.0, 1.4}) {
      const Projected& p = sums[i];
      thetas.push_back({p.ln_a / k, p.ln_b / k, p.ln_e, p.alpha / k, p.beta / k, std::log(k)});
    }
  return thetas;
}

// Exponents of published language-model fits lie around 0.35 (Hoffmann et al. 2022; Besiroglu et al. 2024; Porian et
// al. 2024) and E around 0.6 of the lowest loss of a ladder.
std::vector<PriorTerm> prior(const Sample& sample) {
  const double lowest = *std::min_element(sample.ln_l.begin(), sample.ln_l.end());
  return {{kAlpha, 0.35, 0.15}, {kBeta, 0.35, 0.15}, {kLnE, lowest + std::log(0.6), 0.5}};
}

std::vector<PriorTerm> tied_prior(const Sample& sample) {
  const double lowest = *std::min_element(sample.ln_l.begin(), sample.ln_l.end());
  return {{kAlpha, 0.35, 0.15}, {kLnE, lowest + std::log(0.6), 0.5}};
}

std::vector<PriorTerm> kappa_prior(const Sample& sample) {
  std::vector<PriorTerm> terms = prior(sample);
  terms[0].sd = terms[1].sd = 0.3;
  terms.push_back({kLnKappa, 0, 0.5});
  return terms;
}

}  // namespace

const Form& chinchilla_form() {
  static const Form form = {"chinchilla",
                            "E + A / N^alpha + B / D^beta",
                            "Hoffmann et al. 2022, section 3.3",
                            Form::Sees::kSizes,
                            {{"A", true}, {"B", true}, {"E", true}, {"alpha", false}, {"beta", false}},
                            functions_of(Formula::kChinchilla),
                            starts,
                            prior};
  return form;
}

const Form& tied_form() {
  static const Form form = {"tied",
                            "E + A / N^alpha + B / D^alpha",
                            "Hoffmann et al. 2022, section 3.3, with alpha = beta",
                            Form::Sees::kSizes,
                            {{"A", true}, {"B", true}, {"E", true}, {"alpha", false}},
                            functions_of(Formula::kTied),
                            tied_starts,
                            tied_prior};
  return form;
}

const Form& kappa_form() {
  static const Form form = {"kappa",
                            "E + (A / N^alpha + B / D^beta)^kappa",
                            "after Kaplan et al. 2020, equation 1.5",
                            Form::Sees::kSizes,
                            {{"A", true}, {"B", true}, {"E", true}, {"alpha", false}, {"beta", false}, {"kappa", true}},
                            functions_of(Formula::kKappa),
                            kappa_starts,
                            kappa_prior};
  return form;
}

}  // namespace flywheel::scaling
