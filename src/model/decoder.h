// The decoder: embeddings, layers of mixer and feed-forward on a residual stream, final norm.
#pragma once

#include "model/builder.h"

namespace flywheel::model {

// From tokens (T) to the final norm's output (T, C), in compute_dtype.
graph::ValueId decoder(Builder& builder);
// x (T, C) float32; gives compute_dtype.
graph::ValueId normalise(Builder& builder, const std::string& name, graph::ValueId x);

}  // namespace flywheel::model
