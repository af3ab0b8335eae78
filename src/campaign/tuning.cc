#include "campaign/tuning.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace flywheel::campaign {

bool has_learnt(double bits_per_byte, std::optional<double> context_free) {
  constexpr double kBelow = 0.97;  // of the loss without context; the next best, from the byte before, has 0.7 to 0.8
  return !context_free || bits_per_byte < kBelow * *context_free;
}

SweepChoice choose_multiplier(std::vector<SweepPoint> points, std::optional<double> context_free) {
  std::erase_if(points, [](const SweepPoint& p) { return !p.bits_per_byte.has_value(); });
  if (points.empty())
    throw_failed("every run of the learning-rate sweep failed; see the runs' reasons with `flywheel runs`");
  std::sort(points.begin(), points.end(),
            [](const SweepPoint& a, const SweepPoint& b) { return a.multiplier < b.multiplier; });
  size_t best = 0;
  for (size_t i = 1; i < points.size(); ++i)
    if (*points[i].bits_per_byte < *points[best].bits_per_byte) best = i;
  SweepChoice choice;
  choice.best_sampled = choice.multiplier = points[best].multiplier;
  choice.learnt = has_learnt(*points[best].bits_per_byte, context_free);
  if (!choice.learnt) return choice;
  choice.at_low_edge = best == 0;
  choice.at_high_edge = best + 1 == points.size();
  if (choice.at_low_edge || choice.at_high_edge) return choice;
  // The parabola through the best and its neighbours, in ln multiplier.
  const double x0 = std::log(points[best - 1].multiplier / points[best].multiplier);
  const double x1 = std::log(points[best + 1].multiplier / points[best].multiplier);
  const double y0 = *points[best - 1].bits_per_byte - *points[best].bits_per_byte;
  const double y1 = *points[best + 1].bits_per_byte - *points[best].bits_per_byte;
  const double a = (y1 / x1 - y0 / x0) / (x1 - x0);
  const double b = y0 / x0 - a * x0;
  if (a > 0) choice.multiplier *= std::exp(std::clamp(-b / (2 * a), 0.5 * x0, 0.5 * x1));
  return choice;
}

TransferVerdict check_transfer(double chosen, const std::vector<SweepPoint>& upper, double noise_sd) {
  const SweepPoint* best = nullptr;
  const SweepPoint* same = nullptr;
  for (const SweepPoint& p : upper) {
    if (!p.bits_per_byte) continue;
    if (best == nullptr || *p.bits_per_byte < *best->bits_per_byte) best = &p;
    if (std::abs(std::log(p.multiplier / chosen)) < 1e-6) same = &p;
  }
  TransferVerdict verdict;
  verdict.multiplier = chosen;
  if (best == nullptr) throw_failed("every run of the learning-rate transfer check failed; see `flywheel runs`");
  if (same == nullptr) {
    verdict.holds = false;
    verdict.multiplier = best->multiplier;
    verdict.words =
        fmt::format("the learning rate chosen on the lowest rung failed one rung up; {:.3g} times it is used instead",
                    best->multiplier / chosen);
    return verdict;
  }
  const double loss = *same->bits_per_byte - *best->bits_per_byte;
  const double chance = 2 * std::sqrt(2.0) * noise_sd;  // two standard deviations of a difference
  verdict.holds = loss <= chance;
  if (verdict.holds) {
    verdict.words = best == same
                        ? "the same learning rate is best one rung up"
                        : fmt::format(
                              "one rung up {:.3g} times the learning rate is better by {:.4f} bits per byte, no more "
                              "than two runs differ by chance (up to {:.4f}): the choice holds",
                              best->multiplier / chosen, loss, chance);
  } else {
    verdict.multiplier = std::sqrt(chosen * best->multiplier);
    verdict.words = fmt::format(
        "the learning rate does not transfer cleanly: one rung up {:.3g} times it is better by {:.4f} bits per "
        "byte; the ladder uses the geometric mean of the two",
        best->multiplier / chosen, loss);
  }
  return verdict;
}

}  // namespace flywheel::campaign
