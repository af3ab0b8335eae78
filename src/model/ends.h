// Where a model begins and ends: embeddings of the tokens, and the output head.
#pragma once

#include "graph/ops/head.h"
#include "model/builder.h"

namespace flywheel::model {

// The start of the residual stream, (T, C) float32.
graph::ValueId embed(Builder& builder);
// The parameter (V, C) that logits are made with: the token table when tied.
graph::ValueId head_weight(Builder& builder);
graph::HeadAttributes head_attributes(const Recipe& recipe, const Size& size);

}  // namespace flywheel::model
