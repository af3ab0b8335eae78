// Shared parts of all attention layers: from scores to weights, and from the heads' outputs to the residual stream.
#pragma once

#include "engine/graph/ops/attention.h"
#include "engine/model/mixers.h"

namespace flywheel::model {

// Of the recipe and the size; kv_heads and window are the layer's own.
graph::AttentionAttributes attention_attributes(const Builder& builder, int kv_heads, int64_t window);
// The learned logits of model.attention_sink, or kNoValue (gpt-oss, OpenAI 2025; Xiao et al. 2023).
graph::ValueId attention_sinks(Builder& builder, const std::string& name);
// The first `width` of each of the `vectors` heads in the rows of x: QK-norm, then rotary positions of the first
// `rotary` elements of a head; whatever the recipe does not ask for is left out.
graph::ValueId prepare_heads(Builder& builder, graph::ValueId x, int vectors, int width, int rotary);
// The heads' outputs (T, H * Dh), gated (model.attention_gate, Qiu et al. 2025), to (T, C) float32.
graph::ValueId attention_output(Builder& builder, const MixerInput& input, graph::ValueId mixed);

}  // namespace flywheel::model
