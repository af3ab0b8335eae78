// The wall test: does loss still fall with compute as before, or does the frontier bend at the top of the ladder? Pure;
// deterministic for a seed.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "protocol/verdicts.h"
#include "scaling/laws/law.h"

namespace flywheel::scaling {

using protocol::WallVerdict;

struct Wall {
  WallVerdict verdict = WallVerdict::kCannotTell;
  // NAN: not measured.
  double slope = NAN, slope_low = NAN, slope_high = NAN;  // of ln loss against ln C at the ladder's top end, 90%
  double smallest_detectable = NAN;  // change of that slope that the whole test would call a wall in 80% of ladders
  double power_halved = NAN;         // share of ladders with half the slope at the top that would be called a wall
  double p_value = NAN;
  std::string why;
};
// A wall: the runs of the last decades lie above the forecast from the runs below, together and along a hinge, by more
// than in 98% of ladders simulated without one. None seen: they do not, and half the slope would have been called a
// wall in at least 80% of such ladders. Else it cannot be told, as where the runs at the top repeat their data
// (Point::U): that bends a frontier by itself (Muennighoff et al. 2023). Throws kBadInput as fit().
Wall wall_test(std::span<const Point> points, uint64_t seed = 1);

}  // namespace flywheel::scaling
