// What a ladder's runs say: replicates of a size on a rung as one point, the isoFLOP curve of a rung. Values.
#pragma once

#include <vector>

#include "scaling/laws/law.h"

namespace flywheel::campaign {

// A branched run has been trained with the smaller batches of the rungs below for a part of its way, and ends lower
// than a full run by this much in log loss (docs/notes/branched-decays.md). Points of the ladder are corrected to full
// runs.
inline constexpr double kBranchedBelowFull = 0.0012;

// Finished runs of one size on one rung; they differ in their seeds.
struct LadderPoint {
  double rung_flops = 0;
  scaling::Point mean;         // mean size, tokens, FLOPs and loss
  std::vector<double> losses;  // of the runs, corrected as above
};
// The isoFLOP curve of a rung. Its minimum is read off an Akima spline through the points (scaling/allocation), which
// assumes no shape; the interval comes from the noise between seeds.
struct RungMinimum {
  double rung_flops = 0;
  std::vector<scaling::Point> points;  // means of replicates, smallest model first
  // The best size lies between sizes that were run. Otherwise N and L are those of the best run, with no interval.
  bool is_inner = false;
  double N = 0, L = 0, N_low = 0, N_high = 0;  // 90%
  // Loss of the curve at `parameters`, between the smallest and the largest size. Needs two points.
  double loss_at(double parameters) const;
};

}  // namespace flywheel::campaign
