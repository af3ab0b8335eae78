#include "engine/model/residual.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/graph/ops/add.h"
#include "engine/graph/ops/convert.h"
#include "engine/graph/ops/dynamic_tanh.h"
#include "engine/graph/ops/mix_streams.h"
#include "engine/graph/ops/norm.h"
#include "engine/graph/ops/scale.h"
#include "engine/model/initialisation.h"

namespace flywheel::model {
namespace {

using graph::kNoValue;
using graph::ValueId;

constexpr double kInitialAlpha = 0.5;  // of dynamic tanh, the paper's default

// What residual scaling starts from: the variance of the stream then does not grow with the depth.
double depth_factor(const recipe::Size& size) {
  return 1 / std::sqrt(2.0 * size.layers);
}

// A constant factor on every block's result.
double block_multiplier(const Builder& b) {
  const double scaling = b.recipe.model.residual_scaling == recipe::ResidualScaling::kDepth ? depth_factor(b.size) : 1;
  return scaling * residual_multiplier(b.recipe, b.size);
}

// (n, n + 1): each stream stays, and gets the block's result.
std::vector<float> plain_write(int streams) {
  std::vector<float> weights(static_cast<size_t>(streams) * static_cast<size_t>(streams + 1), 0.0f);
  for (size_t i = 0, n = static_cast<size_t>(streams); i < n; ++i)
    weights[i * (n + 1) + i] = weights[i * (n + 1) + n] = 1;
  return weights;
}

}  // namespace

ValueId normalise(Builder& b, const std::string& name, ValueId x, tensor::Dtype dtype) {
  const recipe::NormKind kind = b.recipe.model.norm;
  if (kind == recipe::NormKind::kDynamicTanh) {
    const ValueId alpha = b.vector(name + ".alpha", 1, kInitialAlpha);
    const ValueId gain = b.vector(name + ".gain", b.size.width, 1);
    return graph::dynamic_tanh(b.graph, x, alpha, gain, b.vector(name + ".bias", b.size.width, 0), dtype);
  }
  const bool layer_norm = kind == recipe::NormKind::kLayerNorm;
  const ValueId gain = b.vector(name + ".gain", b.size.width, 1);
  const ValueId bias = layer_norm ? b.vector(name + ".bias", b.size.width, 0) : kNoValue;
  return graph::norm(b.graph, layer_norm, x, gain, bias, dtype);
}

ResidualStream::ResidualStream(Builder& builder, ValueId embedded)
    : builder_(builder), x_(embedded), streams_(builder.recipe.model.residual_streams) {
  if (streams_ == 1) return;
  const ValueId copies =
      builder.graph.constant("streams.copies", {streams_, 1}, std::vector<float>(static_cast<size_t>(streams_), 1));
  x_ = graph::mix_streams(builder.graph, x_, kNoValue, copies, kNoValue, streams_);
}

void ResidualStream::enter(int layer) {
  if (builder_.recipe.model.skips == recipe::Skips::kNone) return;
  const int layers = builder_.size.layers, partner = layers - 1 - layer;
  if (layer < layers / 2) received_.push_back(x_);
  if (partner >= layers / 2) return;
  const ValueId weight = builder_.vector(fmt::format("blocks.{}.skip", layer), 1, 1);
  const ValueId skip = received_[static_cast<size_t>(partner)];
  x_ = graph::add(builder_.graph, x_, graph::mix_streams(builder_.graph, skip, kNoValue, kNoValue, weight, 1));
}

ValueId ResidualStream::read(const std::string& block) {
  Builder& b = builder_;
  ValueId input = x_;
  if (streams_ > 1) {
    // The blocks start by reading the streams in turn.
    std::vector<float> start(static_cast<size_t>(streams_), 0.0f);
    start[static_cast<size_t>(blocks_read_++ % streams_)] = 1;
    const ValueId base = b.graph.constant(block + ".streams.start", {1, streams_}, std::move(start));
    input = graph::mix_streams(b.graph, x_, kNoValue, base, b.vector(block + ".streams.read", streams_, 0), 1);
  }
  if (b.recipe.model.norm_placement == recipe::NormPlacement::kPost)
    return graph::convert(b.graph, input, b.compute_dtype);
  return normalise(b, block + ".norm", input, b.compute_dtype);
}

void ResidualStream::write(const std::string& block, ValueId result) {
  Builder& b = builder_;
  if (b.recipe.model.norm_placement != recipe::NormPlacement::kPre) {
    result = normalise(b, block + ".post_norm", result, tensor::Dtype::kFloat32);
  }
  if (b.recipe.model.residual_scaling == recipe::ResidualScaling::kLearned) {
    const ValueId gain = b.vector(block + ".scale", b.size.width, depth_factor(b.size));
    result = graph::scale_channels(b.graph, result, gain);
  }
  if (const double factor = block_multiplier(b); factor != 1) {
    result = graph::scale(b.graph, result, static_cast<float>(factor));
  }
  if (streams_ == 1) {
    x_ = graph::add(b.graph, x_, result);
    return;
  }
  const ValueId base = b.graph.constant(block + ".streams.plain", {streams_, streams_ + 1}, plain_write(streams_));
  const ValueId learned = b.vector(block + ".streams.write", int64_t{streams_} * (streams_ + 1), 0);
  x_ = graph::mix_streams(b.graph, x_, result, base, learned, streams_);
}

ValueId ResidualStream::end() {
  if (streams_ == 1) return x_;
  const std::vector<float> share(static_cast<size_t>(streams_), 1.0f / static_cast<float>(streams_));
  const ValueId mean = builder_.graph.constant("streams.mean", {1, streams_}, share);
  return graph::mix_streams(builder_.graph, x_, kNoValue, mean, kNoValue, 1);
}

}  // namespace flywheel::model
