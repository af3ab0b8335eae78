// short_convolution: a few causal taps along each channel, and SiLU (kernels/short_convolution.h).
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kShortConvolution;
extern const struct Op kShortConvolutionBackward;
extern const struct Op kShortConvolutionStep;

// x (T, N); weight (taps, N) a parameter, its first row for the token itself. Gives (T, N) in x's dtype.
ValueId short_convolution(Graph& graph, ValueId x, ValueId weight);
// The same for one token: `earlier` (taps - 1, N) of x's dtype is a state.
ValueId short_convolution_step(Graph& graph, ValueId x, ValueId weight, ValueId earlier);

}  // namespace flywheel::graph
