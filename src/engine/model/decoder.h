// The decoder: embeddings, layers of mixer and feed-forward on a residual stream, final norm.
#pragma once

#include "engine/model/builder.h"

namespace flywheel::model {

// From tokens (T) to the residual stream after the last layer, (T, C) float32.
graph::ValueId decoder(Builder& builder);
// The final norm: what the output head takes, (T, C) in compute_dtype.
graph::ValueId final_norm(Builder& builder, graph::ValueId stream);

}  // namespace flywheel::model
