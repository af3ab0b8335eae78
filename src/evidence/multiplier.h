// Compute multipliers: what a change is worth, as how many times more compute the old recipe needs for the new recipe's
// loss. Above 1 the change helps. Pure functions.
//
// Near a rung the old recipe's loss is L C^slope, so a loss that is `difference` lower is reached with
// ((L + difference) / L)^(1 / slope) times the compute.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "scaling/forecast/forecaster.h"

namespace flywheel::evidence {

struct Interval {
  double value = 0, low = 0, high = 0;
};

struct Slope {
  double value = 0, sd = 0;  // d ln L / d ln C of the compute-optimal loss, below 0
};
// By the forecaster, over a factor of 4 about `flops`; sd from its posterior.
Slope frontier_slope(const scaling::Forecaster& forecaster, double flops);

// `difference`: of bits per byte, candidate minus base, with its interval of the same level as the result's. The
// slope's spread widens the interval. A slope that may be 0 gives an infinite end.
Interval compute_multiplier(double base_loss, Slope slope, const Interval& difference);

// A finding on one rung.
struct RungEffect {
  double flops = 0;
  int pairs = 0;
  Interval difference;  // of bits per byte
  Interval multiplier;
};

struct Extrapolation {
  Interval multiplier;  // at the target
  bool flips = false;   // the change helps on one rung and hurts on another, beyond their intervals
  std::string warning;  // empty: none
};
// Rungs from low to high. ln multiplier as a straight line in ln C through them, weighted by their intervals, its slope
// believed to be 0 with standard deviation kMultiplierDrift a decade: that a gain stays is an assumption, and the
// interval grows with the distance.
Extrapolation extrapolate(std::span<const RungEffect> rungs, double target_flops);
inline constexpr double kRungSpread = 0.15;      // of ln multiplier about the line, on a rung
inline constexpr double kMultiplierDrift = 0.2;  // of ln multiplier per decade

}  // namespace flywheel::evidence
