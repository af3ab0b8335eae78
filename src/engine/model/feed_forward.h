// The feed-forward block: dense, or a mixture of experts (Shazeer et al. 2017) with shared ones beside (DeepSeekMoE,
// Dai et al. 2024). Scores are sigmoids, and experts are kept equally busy by biases or by a loss (graph/ops/route.h).
#pragma once

#include <string>

#include "engine/model/builder.h"

namespace flywheel::model {

// h (T, C) in compute_dtype, normalised. Gives (T, C) float32, to be added to the residual stream.
graph::ValueId feed_forward(Builder& builder, const std::string& name, graph::ValueId h);

}  // namespace flywheel::model
