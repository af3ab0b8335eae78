// Starting points by variable projection (Golub and Pereyra 1973): on a grid of exponents the amplitudes that are best
// for the squared relative error follow from a small non-negative least squares, so that one grid point stands for
// every start with these exponents. Pure.
#pragma once

#include <vector>

#include "scaling/laws/evaluate.h"

namespace flywheel::scaling {

inline constexpr int kGridExponents = 68;  // 68 x 68 = 4,624 pairs

struct Projected {
  double ln_a, ln_b, ln_e, alpha, beta;
  double error;  // squared relative error, weighted
};

enum class Grid { kPairs, kTied, kComputeOnly };  // (alpha, beta); alpha = beta; A / C^alpha + E, no B
// The best first. Uses at most 1,000 runs, spread over the sample.
std::vector<Projected> projected_starts(const Sample& sample, Grid grid);

// At most `limit` runs of the sample, evenly spread over its order.
Sample thinned(const Sample& sample, size_t limit);

}  // namespace flywheel::scaling
