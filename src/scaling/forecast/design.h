// Optimal design: which run next takes most of the variance of the forecast at the target per FLOP. An isoFLOP grid
// spreads its runs evenly, while a forecast depends on few of them.
//
// The log losses of all candidates and of the target are jointly normal (Forecaster::covariance). What a run takes of
// the variance at the target does not depend on the loss that it will measure, so runs are chosen one after the other
// by it: c-optimal design (Elfving 1952), greedily, with a rank-one update of the covariance per run. Pure,
// deterministic. FLOPs, parameters, tokens; standard deviations of ln L, that is relative loss.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace flywheel::scaling {

struct DesignSite {
  double N = 0, D = 0;
  double flops = 0;  // what one run here costs
};

class Design {
 public:
  // From the covariance of the log losses at candidates and, last, the target (row-major), what a run at each
  // candidate costs, and its noise.
  Design(std::vector<double> covariance, std::vector<double> costs, std::vector<double> noise_sd);
  double target_sd() const;
  // Adds a run at a candidate.
  void add(size_t candidate);
  // That takes most of ln variance per FLOP among candidates of at most `flops`; the number of candidates where none
  // helps. Only those that `may` allows, if given.
  size_t best(double flops, const std::function<bool(size_t)>& may = {}) const;

 private:
  std::vector<double> costs_;
  size_t size_ = 0;                 // candidates, then the target
  std::vector<double> covariance_;  // (size_, size_), row major
  std::vector<double> noise_;       // variance of a run at each candidate
};

}  // namespace flywheel::scaling
