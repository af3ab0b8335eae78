// Early stopping of runs whose learning curve shows that they cannot win, at a controlled error rate. The final loss is
// predicted from the curve so far; the prediction errors are measured on the finished curves of the same search, each
// predicted from its own beginning (leave-one-out). When finished and unfinished runs are exchangeable, a run that
// would have won is stopped with probability at most `error_rate`, whatever the predictor (conformal prediction, Vovk
// et al. 2005, section 2.2). Pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace flywheel::evidence {

// A loss seen during a run; fraction of its FLOPs, in (0, 1].
struct CurveSample {
  double fraction = 0, loss = 0;
};

using Curve = std::vector<CurveSample>;  // ascending fractions; the last one of a finished curve is its end

// The loss at fraction 1 by a power law a + b * fraction^-c through the latter part of the curve, c in a fixed range;
// empty: fewer than four points or no fall.
std::optional<double> power_law_end(std::span<const CurveSample> curve);
// The same from the nearest finished curves: the typical further decrease of those with the closest loss at this
// fraction. Empty when no curve covers the fraction.
std::optional<double> neighbours_end(std::span<const CurveSample> curve, std::span<const Curve> finished,
                                     std::optional<size_t> left_out = std::nullopt);

struct CurveVerdict {
  bool stop = false;
  double predicted = 0, sd = 0;  // of the end; sd from the leave-one-out errors
  double chance = 1;             // upper bound for ending at or below the loss to beat
  std::string why;               // in words
};

// The run continues while the evidence is insufficient: n finished curves cannot show a chance below 1 / (n + 1), so an
// error_rate of 0.05 needs 19. A resumed run is judged again with the curves finished by then. REQUIRES curve not
// empty.
CurveVerdict judge_curve(std::span<const CurveSample> curve, std::span<const Curve> finished, double loss_to_beat,
                         double error_rate = 0.05);

// The stopping rule that is fixed before a run starts: a loss above this at `fraction` shows that the run cannot end at
// or below `loss_to_beat`, by neighbours_end and its leave-one-out errors alone. Empty with fewer than
// 1 / error_rate - 1 finished curves that cover the fraction, and when no loss is high enough.
std::optional<double> stopping_loss(std::span<const Curve> finished, double fraction, double loss_to_beat,
                                    double error_rate = 0.05);

}  // namespace flywheel::evidence
