// Where a model begins and ends: embeddings of the tokens, and the output head.
#pragma once

#include "engine/graph/ops/head.h"
#include "engine/model/builder.h"

namespace flywheel::model {

// The start of the residual stream, (T, C) float32.
graph::ValueId embed(Builder& builder);
// The parameter (V, C) that logits are made with: the token table when tied.
graph::ValueId head_weight(Builder& builder);
graph::HeadAttributes head_attributes(const recipe::Recipe& recipe, const recipe::Size& size);

// All further heads together weigh this much beside the first one (lambda of DeepSeek-V3, 2024).
inline constexpr float kFurtherShare = 0.3f;
// The heads that training has, with their losses' gradients, on the stream after the last layer; `loss` is written by
// the first one alone. Further ones (multi-token prediction, Gloeckle et al. 2024) predict the token `ahead` places
// later: a residual linear layer on the normalised stream, then the final norm and the output matrix that all share.
void train_heads(Builder& builder, graph::ValueId stream, graph::ValueId targets, graph::ValueId loss);

}  // namespace flywheel::model
