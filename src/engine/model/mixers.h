// Token mixers: one function per mixer of the recipe, and the table of them. How to add one:
// docs/how-to-add-a-block.md. Their parameters and FLOPs are counted in recipe/mixers.h.
#pragma once

#include <string>

#include "engine/model/builder.h"

namespace flywheel::model {

// What a mixer knows of its layer.
struct MixerInput {
  std::string name;  // of the block: "blocks.3.attention"
  int layer = 0;
  graph::ValueId h = graph::kNoValue;  // (T, C) in compute_dtype, normalised
};

// Gives (T, C) float32, to be added to the residual stream.
graph::ValueId mix(Builder& builder, recipe::Mixer mixer, const MixerInput& input);

graph::ValueId attention(Builder& builder, const MixerInput& input);
graph::ValueId window_attention(Builder& builder, const MixerInput& input);
graph::ValueId latent_attention(Builder& builder, const MixerInput& input);
graph::ValueId gated_linear(Builder& builder, const MixerInput& input);
graph::ValueId mamba2(Builder& builder, const MixerInput& input);
graph::ValueId gated_delta(Builder& builder, const MixerInput& input);
graph::ValueId rwkv7(Builder& builder, const MixerInput& input);

}  // namespace flywheel::model
