// Compute levels as isoFLOP curves: the runs of one level, their losses moved to one compute.
#pragma once

#include <span>
#include <vector>

#include "scaling/laws/law.h"

namespace flywheel::scaling {

struct Level {
  double flops = 0;   // geometric mean
  double spread = 1;  // highest over lowest FLOPs
  std::vector<Point>
      points;  // losses moved to `flops` along the frontier's slope; with one level they stay as they are
};
// compute_levels() of the points, lowest first. REQUIRES points that check_points() lets pass.
std::vector<Level> levels_of(std::span<const Point> points);

// Where the lowest loss of a level lies among its sizes.
enum class BestAt { kOneSize, kSmallest, kInside, kLargest };
struct Bracket {
  double flops = 0;
  double smallest = 0, largest = 0;  // sizes
  int sizes = 0;                     // different ones; within 10% they are one
  BestAt best = BestAt::kOneSize;
};
std::vector<Bracket> brackets_of(std::span<const Point> points);

}  // namespace flywheel::scaling
