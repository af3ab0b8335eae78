// Optimal design: chooses the next run as the one that reduces the variance of the forecast at the target most per
// FLOP. An isoFLOP grid spreads its runs evenly, while a forecast depends on few of them.
//
// Near its fit the law is linear in its parameters: ln L(x) = g(x)' theta + delta(x) + noise, theta with a normal
// prior, delta an optional discrepancy between the law and the truth with covariance k(x, x'). The variance of the
// forecast at the target, g' (P + J'J / s^2)^-1 g when there is no discrepancy, does not depend on the losses measured,
// so runs are chosen one after the other by it: c-optimal design (Elfving 1952), greedily,
// with a rank-one update of the joint covariance of all sites per run. Pure, deterministic, thread safe. FLOPs,
// parameters, tokens; standard deviations of ln L, that is relative loss.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "scaling/laws/law.h"

namespace flywheel::scaling {

struct DesignSite {
  double N = 0, D = 0;
  double flops = 0;  // the law's C, and what one run here costs
};

// Covariance of the discrepancy of ln L at two sites.
using Discrepancy = std::function<double(const DesignSite&, const DesignSite&)>;
// A random walk along log10 C that starts at `lowest_flops`: the drift of law.h, sd per square root of a decade.
Discrepancy drift_discrepancy(double lowest_flops, double sd = kDriftSd);

struct DesignProblem {
  Law law;                           // linearised at its parameters
  std::vector<DesignSite> existing;  // runs that are there, one entry each
  std::vector<DesignSite> candidates;
  DesignSite target;
  double noise_sd = 0.003;       // of ln L between replicates
  std::vector<double> prior_sd;  // of the form's internal parameters, in its order; empty: kPriorSd for all
  Discrepancy discrepancy;       // empty: the law is the truth
};
inline constexpr double kPriorSd = 3;

struct DesignChoice {
  size_t candidate = 0;
  int replicates = 1;
  double flops = 0;                    // of all replicates
  double sd_before = 0, sd_after = 0;  // of the forecast of ln L at the target, noise of the target run left out
};

class Design {
 public:
  // Throws kBadInput for no candidates, a form that is not known, or values that are not finite and above 0.
  explicit Design(const DesignProblem& problem);
  // From the covariance of the log losses at candidates and, last, the target (row-major, as Forecaster::covariance
  // gives it), what a run at each candidate costs, and its noise.
  Design(std::vector<double> covariance, std::vector<double> costs, std::vector<double> noise_sd);
  double target_sd() const;
  // Adds a run at a candidate.
  void add(size_t candidate);
  // That takes most of ln variance per FLOP among candidates of at most `flops`; candidates() where none helps.
  // Only those that `may` allows, if given.
  size_t best(double flops, const std::function<bool(size_t)>& may = {}) const;
  size_t candidates() const { return costs_.size(); }
  double cost(size_t candidate) const { return costs_[candidate]; }

 private:
  std::vector<double> costs_;
  size_t size_ = 0;                 // candidates, then the target
  std::vector<double> covariance_;  // (size_, size_), row major
  std::vector<double> noise_;       // variance of a run at each candidate
};

// The best candidate and how often to run it before another becomes better (at most most_replicates). replicates 0:
// none of at most `flops` helps.
DesignChoice next_run(const DesignProblem& problem, double flops, int most_replicates = 8);
// Runs for `flops` in all, in the order chosen, replicates together.
std::vector<DesignChoice> choose_runs(const DesignProblem& problem, double flops);

}  // namespace flywheel::scaling
