#include "engine/model/feed_forward.h"

#include "engine/graph/ops/activation.h"
#include "engine/graph/ops/add.h"
#include "engine/graph/ops/gated.h"
#include "engine/graph/ops/grouped_linear.h"
#include "engine/graph/ops/linear.h"
#include "engine/graph/ops/route.h"
#include "recipe/size.h"

namespace flywheel::model {
namespace {

using graph::ValueId;
using kernels::Activation;

Activation activation_of(recipe::FeedForward kind) {
  switch (kind) {
    case recipe::FeedForward::kGelu:
    case recipe::FeedForward::kGeglu:
      return Activation::kGelu;
    case recipe::FeedForward::kSwiglu:
      return Activation::kSilu;
    case recipe::FeedForward::kReluSquared:
      break;
  }
  return Activation::kReluSquared;
}

// Between the matrices: of (rows, hidden), or (rows, 2 * hidden) with a gate.
ValueId activate(Builder& b, ValueId up) {
  const recipe::FeedForward kind = b.recipe.model.feed_forward;
  return is_gated(kind) ? graph::gated(b.graph, activation_of(kind), up)
                        : graph::activation(b.graph, activation_of(kind), up);
}

const char* up_name(const Builder& b) {
  return is_gated(b.recipe.model.feed_forward) ? ".gate_up" : ".up";
}

std::vector<int64_t> up_parts(const Builder& b, int64_t hidden) {
  if (is_gated(b.recipe.model.feed_forward)) return {hidden, hidden};
  return {hidden};
}

// Two matrices, or three with a gate: h (T, C) in compute_dtype gives (T, C) float32.
ValueId dense(Builder& b, const std::string& name, ValueId h, int64_t hidden) {
  const ValueId up = b.fused(name + up_name(b), up_parts(b, hidden), b.size.width);
  const ValueId y = activate(b, graph::linear(b.graph, h, up, b.compute_dtype));
  return graph::linear(b.graph, y, b.matrix(name + ".down", b.size.width, hidden, true), tensor::Dtype::kFloat32);
}

// Of the experts, those that the router chooses for each token, and the shared ones for every token.
ValueId experts(Builder& b, const std::string& name, ValueId h) {
  const recipe::Recipe::Model& m = b.recipe.model;
  const int64_t width = b.size.width, hidden = recipe::expert_width(b.recipe, b.size);
  const ValueId logits =
      graph::linear(b.graph, h, b.matrix(name + ".router", m.experts, width), tensor::Dtype::kFloat32);
  const ValueId bias =
      m.expert_balance == recipe::ExpertBalance::kBias ? b.balance(name + ".router_bias", m.experts) : graph::kNoValue;
  const float balance_loss =
      m.expert_balance == recipe::ExpertBalance::kLoss ? static_cast<float>(m.expert_balance_rate) : 0.0f;
  const graph::Routing routing =
      graph::route(b.graph, logits, bias, b.loss_scale, {.active = m.experts_active, .balance_loss = balance_loss});
  const ValueId up = b.stacked(name + ".experts" + up_name(b), m.experts, up_parts(b, hidden), width);
  const ValueId down = b.stacked(name + ".experts.down", m.experts, {width}, hidden, true);
  const ValueId rows = graph::spread(b.graph, h, routing.places);
  const ValueId y = activate(b, graph::grouped_linear(b.graph, rows, up, routing.first, b.compute_dtype));
  const ValueId results = graph::grouped_linear(b.graph, y, down, routing.first, tensor::Dtype::kFloat32);
  const ValueId routed = graph::combine(b.graph, results, routing.weights, routing.places);
  if (m.experts_shared == 0) return routed;
  return graph::add(b.graph, dense(b, name + ".shared", h, m.experts_shared * hidden), routed);
}

}  // namespace

ValueId feed_forward(Builder& b, const std::string& name, ValueId h) {
  if (b.recipe.model.experts > 0) return experts(b, name, h);
  return dense(b, name, h, b.size.feed_forward);
}

}  // namespace flywheel::model
