// The mixers beyond attention: their widths, and what each counts.
#pragma once

#include "recipe/mixers.h"

namespace flywheel::recipe {

inline constexpr int kForgetRank = 16;  // of gated linear attention's forget gate (Yang et al. 2023)
// What the kernels serve.
inline constexpr int kMaxKeyWidth = 256, kMaxValueWidth = 256;

// Width of a recurrent head's queries and keys; its values are head_dim wide.
int key_width(const Recipe& recipe);

// RWKV-7's low-rank projections, by its paper's rules in steps of 16: of decay and rate, of the gate, and
// of the value residual.
int rwkv_rank(const Size& size);
int rwkv_gate_rank(const Size& size);
int rwkv_value_rank(const Size& size);

PartCounts gated_linear_counts(const Recipe& recipe, const Size& size);
PartCounts mamba2_counts(const Recipe& recipe, const Size& size);
PartCounts gated_delta_counts(const Recipe& recipe, const Size& size);
PartCounts rwkv7_counts(const Recipe& recipe, const Size& size);
// Of all layers after the first that is RWKV-7's: what takes their values towards its.
PartCounts rwkv7_value_residual_counts(const Recipe& recipe, const Size& size);
// Adds the short convolution of `channels` channels, if the recipe has one.
void add_convolution(const Recipe& recipe, int64_t channels, PartCounts& counts);

}  // namespace flywheel::recipe
