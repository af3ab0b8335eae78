// Anytime-valid evidence from losses of a candidate beside a pool of runs of the base, by ranks alone: exact for any
// noise, with no scale to be estimated, and one run of the candidate at a time. Pure; not thread safe.
//
// Null: the candidate is no better than the base, that is, its loss is stochastically at least as large. The evidence
// is a mixture of two kinds of bets, all of them fair for any noise.
//
// Conformal: each run of the
// candidate is ranked among the pool and the candidate's own runs before it. Were candidate and base exchangeable, its
// rank would be uniform and independent of those before (the conformal ranks of Vovk, Gammerman and Shafer 2005,
// section 8.1), so a bet on low ranks is fair: the product of a density on ranks, relative to the uniform one, is a
// martingale, and so is a mixture of such products. A candidate that is worse is, run by run, ranked no lower than an
// exchangeable one (couple them by quantiles), and the densities fall with the rank, so it is an e-process for the
// whole null. The densities are those of the ranks of normal noise shifted by a gain, with a share left for outliers;
// they affect the power only. Good for small gains.
//
// Of the whole order: the likelihood ratio of the order of all runs where each next lowest one is the candidate's with
// given odds (a Lehmann alternative, whose probability of an order is known in closed form: Savage 1956; Plackett 1975)
// against exchangeability. It is a martingale in the number of the candidate's runs, and it falls when one of these
// moves up, so it is an e-process for the whole null too. Good for large gains and few runs.
//
// The mixture exceeds 1 / alpha with probability at most alpha, whenever one stops (Ville 1939).
#pragma once

#include <array>
#include <span>
#include <vector>

#include "ledger/records/effects.h"

namespace flywheel::evidence {

class RankTest {
 public:
  // Losses of the base; infinite: a run that failed. `expected`: the gain that is expected where there is one, in
  // standard deviations of the base, known before any of the candidate's runs; it affects the power, never the
  // guarantee. 0: not known.
  explicit RankTest(std::vector<double> base, double expected = 0);
  // Of the next run of the candidate; infinite: it failed. REQUIRES that it is no NaN.
  void add(double loss);
  int runs() const { return static_cast<int>(losses_.size()); }
  std::span<const double> losses() const { return losses_; }
  std::span<const double> base() const { return base_; }
  // Of the null above. Ties, failures among them, count against the candidate.
  double log_e_better() const;
  // Mean difference, candidate less base, where outliers on either side are pulled in to `reach` deviations of the base
  // from the median of their side.
  double difference() const;
  // Standard deviation of the base's runs, robust against its outliers; above 0.
  double sd() const { return sd_; }
  // Runs of the candidate that ended far above all that the base's noise explains, or failed.
  int ruined() const;
  int base_ruined() const;

 private:
  bool is_ruined(double loss) const;

  static constexpr size_t kSmall = 3, kLarge = 3, kBets = kSmall + kLarge;
  double log_order_ratio(double odds) const;
  std::vector<double> base_, losses_;
  double sd_ = 0, centre_ = 0;
  std::array<double, kBets> log_wealth_{};  // of each bet; together it begins at 1
};

// The same on several rungs: what is claimed must hold on each, so the smallest of their e-values counts, which is one
// for the null "no better on one rung at least".
class RungTests {
 public:
  explicit RungTests(std::vector<RankTest> rungs) : rungs_(std::move(rungs)) {}
  void add(size_t rung, double loss) { rungs_.at(rung).add(loss); }
  const std::vector<RankTest>& rungs() const { return rungs_; }
  int runs() const;    // of all rungs
  int fewest() const;  // of a rung
  double log_e_better() const;
  int ruined() const;
  int base_ruined() const;
  int base_runs() const;

 private:
  std::vector<RankTest> rungs_;
};

// Runs further above the median of the base than this many of its standard deviations are ruined.
inline constexpr double kRuinedSds = 12;

// Of these losses, those far above what the lower quarter of them makes likely: 4.5 of its standard deviations.
int far_above(const std::vector<double>& losses);

// Whether a candidate is ruined more often than the base: more than twice as often, each as a share of its runs.
bool ruins(int ruined, int runs, int base_ruined, int base_runs);

}  // namespace flywheel::evidence
