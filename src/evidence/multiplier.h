// Compute multipliers: the gain of a change as the factor of compute that the old recipe needs to reach the new
// recipe's loss. Above 1 the change helps. Pure functions.
//
// What a run cost is charged in full: a candidate that spends `cost` times what the base spends beside it must reach
// its loss with that much more, so the multiplier is divided by it. Costs are in the currency that is compared: FLOPs
// of model and optimizer together, or seconds.
//
// Near a rung the old recipe's loss is L C^slope, so a loss that is `difference` lower is reached with
// ((L + difference) / L)^(1 / slope) times the compute.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ledger/records/effects.h"

namespace flywheel::evidence {

using Interval = ledger::Interval;
using Slope = ledger::Slope;
using RungEffect = ledger::RungEffect;

// The level of every multiplier, of compute or of time.
inline constexpr double kWorthLevel = 0.9;
// `difference`: of bits per byte, candidate minus base, with its interval at kWorthLevel, as the result's is. The
// slope's spread widens the interval. A slope that may be 0 gives an infinite end.
Interval compute_multiplier(double base_loss, Slope slope, const Interval& difference);

// The multiplier of a candidate that costs `cost` times the base's; both intervals at kWorthLevel, independent.
Interval at_equal_cost(const Interval& multiplier, const Interval& cost);

struct Extrapolation {
  Interval multiplier;  // at the target
  bool flips = false;   // the change helps on one rung and hurts on another, beyond their intervals
  std::string warning;  // empty: none
};
// Rungs from low to high. ln multiplier is a straight line in ln C through them, weighted by their intervals. The prior
// of its slope is 0 with standard deviation kMultiplierDrift per decade: a persistent gain is an assumption, so the
// interval widens with the distance.
Extrapolation extrapolate(std::span<const RungEffect> rungs, double target_flops);
inline constexpr double kRungSpread = 0.15;      // of ln multiplier about the line, on a rung
inline constexpr double kMultiplierDrift = 0.2;  // of ln multiplier per decade

}  // namespace flywheel::evidence
