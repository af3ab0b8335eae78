// The wall test: does loss still fall with compute as before, or does the frontier bend at the top of the ladder? Pure;
// deterministic for a seed.
#pragma once

#include <span>
#include <string>

#include "protocol/verdicts.h"
#include "scaling/laws/law.h"

namespace flywheel::scaling {

using protocol::WallVerdict;

struct Wall {
  WallVerdict verdict = WallVerdict::kCannotTell;
  double slope = 0, slope_low = 0, slope_high = 0;  // of ln(best loss) against ln C at the top end, 90%
  double smallest_detectable = 0;                   // slope change found with 80% power
  double p_value = 1;
  std::string why;
};
// A bend of the frontier in the last decades beyond what the smooth law, its drift and noise explain, which the
// forecast from below the bend must also have missed (wall.cc).
Wall wall_test(std::span<const Point> points, const FitOptions& options);

}  // namespace flywheel::scaling
