// The feed-forward block.
#pragma once

#include <string>

#include "model/builder.h"

namespace flywheel::model {

// h (T, C) in compute_dtype, normalised. Gives (T, C) float32, to be added to the residual stream.
graph::ValueId feed_forward(Builder& builder, const std::string& name, graph::ValueId h);

}  // namespace flywheel::model
