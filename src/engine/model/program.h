// The contents of a Program, private to this room.
#pragma once

#include <memory>

#include "engine/graph/plan.h"
#include "engine/model/model.h"
#include "engine/model/parameter_table.h"

namespace flywheel::model {

// External slots that every graph of a model declares first, in this order.
struct Slots {
  enum : size_t { kTokens, kTargets, kLossScale, kRows, kLoss, kNumber };
};

struct Program::State {
  recipe::Recipe recipe;
  recipe::Size size;
  tensor::Dtype compute_dtype = tensor::Dtype::kFloat32;
  int sequences = 1;
  ParameterTable parameters;
  graph::PackedLayout packed;
  std::unique_ptr<graph::Plan> train, eval;  // loss and gradients; loss
};

}  // namespace flywheel::model
