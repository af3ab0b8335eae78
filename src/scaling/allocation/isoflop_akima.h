// The best size at one compute level by interpolation of the isoFLOP curve, with the noise of the losses carried
// through (the method of Porian et al. 2024, "Resolving Discrepancies in Compute-Optimal Scaling of Language Models",
// as their released analysis does it). Why beside the parabola of isoflop.h: it assumes no shape, and its spread is
// that of the minimum itself.
//
// An Akima spline of ln L in ln N is read off on a fine grid; the same is done again with noise added to every loss;
// the inner minima of these resamples give the median and the spread. A level more than half of whose resamples have
// their minimum at the smallest or largest size has no minimum.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scaling/laws/law.h"

namespace flywheel::scaling {

struct AkimaOptions {
  int resamples = 1000;
  uint64_t seed = 1;
  double noise_sd = 0.002;     // of the loss, in its own unit: between seeds; as their program has it at all losses
  int grid = 25;               // places per interval between two sizes
  double least_spread = 0.33;  // of ln N, in units of the spacing of sizes: a minimum is not known better than this
};

struct AkimaMinimum {
  double N = 0;                  // parameters, median of the resamples; 0: no inner minimum
  double ln_sd = 0;              // spread of ln N
  std::vector<double> ln_sizes;  // inner minima of the resamples; fewer than resamples where some fell on the edge
};

// Of several runs of one size the lowest loss counts. Deterministic for a seed. Throws kBadInput for values that are
// not finite and above 0; fewer than three sizes have no minimum.
AkimaMinimum akima_minimum(std::span<const Point> level, const AkimaOptions& options = {});
// The loss of the spline at N, which lies between the smallest and the largest size of the level. Needs two sizes.
double akima_loss(std::span<const Point> level, double N);

}  // namespace flywheel::scaling
