// linear: a matrix product with packed weights, and what is done to its result while it is in registers (activation,
// multiplication by its derivative, addition to the residual stream). The backward of a linear is a linear with the
// other packed form.
#pragma once

#include "engine/graph/graph.h"
#include "engine/kernels/matmul.h"

namespace flywheel::graph {

extern const struct Op kLinear;
extern const struct Op kLinearWeightGradient;

// Positions of kLinear's inputs, and what fusion sets. Output 1, with an activation: its derivative.
struct LinearAttributes {
  tensor::Dtype out_dtype = tensor::Dtype::kFloat32;
  kernels::Activation activation = kernels::Activation::kNone;
};
inline constexpr size_t kLinearX = 0, kLinearWeight = 1, kLinearAccumulate = 2, kLinearFactor = 3;

// x (T, in); `weight` a parameter (out, in). Gives x · Wᵀ (T, out) in `out_dtype`.
ValueId linear(Graph& graph, ValueId x, ValueId weight, tensor::Dtype out_dtype);

}  // namespace flywheel::graph
