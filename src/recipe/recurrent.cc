#include "recipe/recurrent.h"

#include <algorithm>
#include <cmath>

namespace flywheel::recipe {
namespace {

// Widths of all heads together.
struct Widths {
  int64_t width, keys, values;
  Widths(const Recipe& recipe, const Size& size)
      : width(size.width),
        keys(int64_t{size.heads} * key_width(recipe)),
        values(int64_t{size.heads} * recipe.model.head_dim) {}
};

// Of the recurrent form, per token: k v and q S, each 2 K V per head, and as much again for a S and b u.
double recurrence_flops(const Recipe& recipe, const Size& size, bool delta) {
  return (delta ? 8.0 : 4.0) * size.heads * key_width(recipe) * recipe.model.head_dim;
}

}  // namespace

int key_width(const Recipe& recipe) {
  return recipe.model.state_dim > 0 ? recipe.model.state_dim : recipe.model.head_dim;
}

PartCounts gated_linear_counts(const Recipe& recipe, const Size& size) {
  const Widths w(recipe, size);
  PartCounts counts;
  // Queries, keys, values, gate, forget gate in two factors; out.
  counts.matrices = w.width * (2 * w.keys + 2 * w.values + kForgetRank) + w.keys * kForgetRank + w.values * w.width;
  counts.vectors = w.keys + w.values;  // the forget gate's bias, the output norm's gain
  counts.extra_flops = recurrence_flops(recipe, size, false);
  add_convolution(recipe, 2 * w.keys + w.values, counts);
  return counts;
}

PartCounts mamba2_counts(const Recipe& recipe, const Size& size) {
  const Widths w(recipe, size);
  const int64_t qkv = 2 * key_width(recipe) + w.values;
  PartCounts counts;
  // Shared queries and keys, values, gate, steps; out.
  counts.matrices = w.width * (qkv + w.values + size.heads) + w.values * w.width;
  counts.vectors = 3 * size.heads + w.values;  // bias, rate and skip of each head, the output norm's gain
  counts.extra_flops = recurrence_flops(recipe, size, false);
  add_convolution(recipe, qkv, counts);
  return counts;
}

PartCounts gated_delta_counts(const Recipe& recipe, const Size& size) {
  const Widths w(recipe, size);
  const int64_t qkv = 2 * w.keys + w.values;
  PartCounts counts;
  // Queries, keys, values, gate, forget gate and beta of each head; out.
  counts.matrices = w.width * (qkv + w.values + 2 * size.heads) + w.values * w.width;
  counts.vectors = 2 * size.heads + w.values;  // bias and rate of each head, the output norm's gain
  counts.extra_flops = recurrence_flops(recipe, size, true);
  add_convolution(recipe, qkv, counts);
  return counts;
}

int rwkv_rank(const Size& size) {
  return std::max(16, static_cast<int>(std::lround(1.8 * std::sqrt(size.width) / 16)) * 16);
}
int rwkv_gate_rank(const Size& size) {
  return std::max(16, static_cast<int>(std::lround(0.6 * std::pow(size.width, 0.8) / 16)) * 16);
}

int rwkv_value_rank(const Size& size) {
  return std::max(16, static_cast<int>(std::lround(1.3 * std::sqrt(size.width) / 16)) * 16);
}

PartCounts rwkv7_counts(const Recipe& recipe, const Size& size) {
  const Widths w(recipe, size);
  PartCounts counts;
  // Receptance, key, value, out; decay, rate and gate in two factors each.
  counts.matrices = 2 * w.width * (w.keys + w.values) + 2 * rwkv_rank(size) * (w.width + w.keys) +
                    rwkv_gate_rank(size) * (w.width + w.values);
  // Shares of six streams; biases of decay and rate, removal, replacement and bonus; the output norm's gain and bias.
  counts.vectors = 6 * w.width + 5 * w.keys + 2 * w.values;
  counts.extra_flops = recurrence_flops(recipe, size, true);
  return counts;
}

PartCounts rwkv7_value_residual_counts(const Recipe& recipe, const Size& size) {
  const std::vector<Mixer> mixers = layer_mixers(recipe, size.layers);
  const int64_t after_first = std::max<int64_t>(0, std::count(mixers.begin(), mixers.end(), Mixer::kRwkv7) - 1);
  const Widths w(recipe, size);
  PartCounts counts;
  counts.matrices = after_first * rwkv_value_rank(size) * (w.width + w.values);
  counts.vectors = after_first * w.values;
  return counts;
}

void add_convolution(const Recipe& recipe, int64_t channels, PartCounts& counts) {
  const int64_t weights = channels * recipe.model.short_convolution;
  counts.vectors += weights;
  counts.extra_flops += 2.0 * static_cast<double>(weights);
}

}  // namespace flywheel::recipe
