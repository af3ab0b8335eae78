#include "evidence/paired_evidence.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace flywheel::evidence {
namespace {

// Few, since each shares the wealth with the others: one near the best for a gain of two noise floors, one for larger
// gains and for a guess of the scale that is far too large.
struct Bet {
  double stake, effect;
};
constexpr Bet kBets[] = {{0.95, 1.5}, {0.97, 5}};
constexpr double kShare = 0.5;

double factor(const Bet& bet, double scaled) {
  return 1 - bet.stake * std::tanh(bet.effect * scaled);
}

}  // namespace

SequentialTest::SequentialTest(double scale) : scale_(scale) {
  CHECK(scale > 0 && std::isfinite(scale));
}

void SequentialTest::add(double difference) {
  CHECK(std::isfinite(difference));
  differences_.push_back(difference);
}

double SequentialTest::mean() const {
  return std::accumulate(differences_.begin(), differences_.end(), 0.0) / std::max(1, pairs());
}

double SequentialTest::log_e(double shift, double sign) const {
  double wealth = 0;
  for (const Bet& bet : kBets) {
    double product = kShare;
    for (const double difference : differences_) product *= factor(bet, sign * (difference - shift) / scale_);
    wealth += product;
  }
  return std::log(wealth);
}

double SequentialTest::log_e_better() const {
  return log_e(0, 1);
}
double SequentialTest::log_e_worse() const {
  return log_e(0, -1);
}

// Every bet's wealth is monotone in the shift, so each end is where one of the two one-sided tests at alpha / 2 turns.
Interval SequentialTest::interval(double alpha) const {
  Interval result{0, -INFINITY, INFINITY};
  if (differences_.empty()) return result;
  std::vector<double> sorted = differences_;
  std::sort(sorted.begin(), sorted.end());
  const size_t n = sorted.size();
  result.value = 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]);
  const double wanted = std::log(2 / alpha), far = 1e3 * scale_ + (sorted.back() - sorted.front());
  const auto turn = [&](double outside, double sign) {
    double inside = result.value;
    if (log_e(outside, sign) < wanted) return outside > inside ? double{INFINITY} : -double{INFINITY};
    for (int i = 0; i < 60; ++i) {
      const double middle = 0.5 * (inside + outside);
      (log_e(middle, sign) >= wanted ? outside : inside) = middle;
    }
    return outside;
  };
  result.high = turn(result.value + far, 1);
  result.low = turn(result.value - far, -1);
  return result;
}

}  // namespace flywheel::evidence
