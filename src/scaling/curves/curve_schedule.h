// Loss curves and what a law over learning-rate schedules needs of them: sums of the rate, and its drops. Why: the loss
// of a run depends on the whole path of its rate, so whole curves of any schedule can inform one law.
//
// Steps count from 1; the rate of a step is the one its update used, the loss after a step is measured after that
// update. Rates are in the trainer's units. Everything here is a pure function, thread safe.
#pragma once

#include <string>
#include <vector>

namespace flywheel::scaling {

struct RatePoint {
  double step = 0, rate = 0;
};
struct LossPoint {
  double step = 0, loss = 0;
};
struct Curve {
  std::string name;
  std::string text{};             // which text the losses are of; those of different text do not belong to one law
  double N = 0;                   // parameters of the model; 0: not given
  double tokens_per_step = 0;     // 0: not given
  std::vector<RatePoint> rates;   // straight lines between them, level before the first and after the last
  std::vector<LossPoint> losses;  // strictly rising steps; empty for a run that is only to be predicted
  double last_step() const;
};

// Keeps the curves of the text that most are of, in their order; the names of the others.
std::vector<std::string> leave_one_text(std::vector<Curve>& curves);

// At most `most` points, each the mean of equally many neighbours in order: losses of single batches become a curve
// that is quick to fit.
std::vector<LossPoint> averaged(const std::vector<LossPoint>& losses, size_t most);

// The same schedule with as few points as stay within `tolerance` times the peak rate of it (Ramer-Douglas-Peucker).
std::vector<RatePoint> compress_rates(const std::vector<RatePoint>& rates, double tolerance = 5e-4);

// A share of the drops of the rate before some step: the rate fell by `drop` (negative: rose) to `rate`, and from that
// step on `sum` of rate over `count` steps was trained.
struct Drop {
  double drop = 0, rate = 0, sum = 0, count = 0;
};

// A stretch of the schedule with one rate.
struct Stretch {
  double rate = 0, steps = 0;
};

// A compressed schedule, warm-up found: the first rise, up to its first level or falling piece. As in Luo et al. 2025
// (section 3) the warm-up counts in the sum of rates, its rise is no (negative) drop.
class Schedule {
 public:
  explicit Schedule(const std::vector<RatePoint>& rates);
  double warmup_end() const { return knots_[warmup_].step; }  // 0 without a warm-up
  double peak() const { return peak_; }
  double rate_at(double step) const;
  double sum_to(double step) const;  // of the rates of steps 1 .. step
  // The drops of steps up to `step` after the warm-up. Sums over a piece of the schedule become a few nodes (all of its
  // steps when it has no more than that), denser towards `step`: O(pieces), not O(step).
  std::vector<Drop> drops_to(double step) const;
  // Stretches whose sum of steps * f(rate) is that of f over the steps 1 .. step, warm-up included, for smooth f. Those
  // without a rate are left out.
  std::vector<Stretch> path_to(double step) const;

 private:
  double sum_in(size_t piece, double step) const;
  std::vector<RatePoint> knots_;
  std::vector<double> sums_;  // of the rates up to each knot
  size_t warmup_ = 0;         // knot where the warm-up ends
  int nodes_ = 2;             // per piece
  double peak_ = 0;
};

}  // namespace flywheel::scaling
