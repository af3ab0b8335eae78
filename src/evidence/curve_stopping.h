// Ends a run whose learning curve says that it cannot win, with a known chance of being wrong. The end of a run is
// predicted from its curve so far; how wrong such predictions are is measured on the finished curves of the same
// search, each predicted from its own beginning (leave-one-out). When finished and unfinished runs are exchangeable, a
// run that would have won is stopped with probability of at most `error_rate`, whatever the predictor (conformal
// prediction, Vovk et al. 2005, section 2.2). Pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace flywheel::evidence {

// A loss seen during a run; fraction of its FLOPs, in (0, 1].
struct CurvePoint {
  double fraction = 0, loss = 0;
};

using Curve = std::vector<CurvePoint>;  // ascending fractions; the last one of a finished curve is its end

// The loss at fraction 1 by a power law a + b * fraction^-c through the latter part of the curve, c in a fixed range;
// empty: fewer than four points or no fall.
std::optional<double> power_law_end(std::span<const CurvePoint> curve);
// The same by the finished curves that came past at the closest loss: their usual further fall. Empty: no curve that
// covers the fraction.
std::optional<double> neighbours_end(std::span<const CurvePoint> curve, std::span<const Curve> finished,
                                     std::optional<size_t> left_out = std::nullopt);

struct CurveVerdict {
  bool stop = false;
  double predicted = 0, sd = 0;  // of the end; sd from the leave-one-out errors
  double chance = 1;             // upper bound for ending at or below the loss to beat
  std::string why;               // in words
};

// Goes on when it cannot tell: with n finished curves no chance below 1 / (n + 1) can be shown, so that error_rate 0.05
// needs 19 of them. A thawed run is judged again with what is known then. REQUIRES curve not empty.
CurveVerdict judge_curve(std::span<const CurvePoint> curve, std::span<const Curve> finished, double loss_to_beat,
                         double error_rate = 0.05);

// The rule written down before a run starts, for whoever watches it: at `fraction` a loss above this says that the run
// cannot end at or below `loss_to_beat`, by neighbours_end and its leave-one-out errors alone. Empty: nothing can be
// shown yet (fewer than 1 / error_rate - 1 finished curves that cover the fraction), or no loss is high enough.
std::optional<double> stopping_loss(std::span<const Curve> finished, double fraction, double loss_to_beat,
                                    double error_rate = 0.05);

}  // namespace flywheel::evidence
