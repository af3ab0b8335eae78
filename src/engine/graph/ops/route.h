// route: the router of a mixture of experts, and the moves of rows to the experts and back. Routing is data: shapes
// stay those of T * K rows, sorted by expert, and `first` says where each expert's rows begin.
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kRoute;
extern const struct Op kRouteBackward;
extern const struct Op kSpread;
extern const struct Op kGather;
extern const struct Op kCombine;
extern const struct Op kCombineBackward;

struct RouteAttributes {
  int active = 0;          // K experts per token
  float balance_loss = 0;  // weight of the load-balance loss in the training gradient; 0: none
};
struct Routing {
  ValueId weights;  // (T, K) float32, differentiable
  ValueId places;   // (T, K) int32: the row of each copy of a token
  ValueId first;    // (E + 1) int32: the first row of each expert
};
// logits (T, E) float32. bias (E), a parameter or kNoValue: added for the choice only (Wang et al. 2024,
// "Auxiliary-Loss-Free Load Balancing"); its gradient is how many choices more than the mean fell on an expert, times
// 1e-30, so that only the sign is of use. loss_scale (float external, or kNoValue where nothing is differentiated).
Routing route(Graph& graph, ValueId logits, ValueId bias, ValueId loss_scale, const RouteAttributes& attributes);

// x (T, C) to rows (T * K, C) of the same dtype.
ValueId spread(Graph& graph, ValueId x, ValueId places);
// rows (T * K, C) float32 to their weighted sums (T, C).
ValueId combine(Graph& graph, ValueId rows, ValueId weights, ValueId places);

}  // namespace flywheel::graph
