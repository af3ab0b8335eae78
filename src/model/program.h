// What a Program holds: private to this room.
#pragma once

#include <memory>

#include "graph/plan.h"
#include "model/model.h"
#include "model/parameter_table.h"

namespace flywheel::model {

// External slots that every graph of a model declares first, in this order.
struct Slots {
  enum : size_t { kTokens, kTargets, kLossScale, kCount, kLoss, kNumber };
};

struct Program::State {
  Recipe recipe;
  Size size;
  Dtype compute_dtype = Dtype::kFloat32;
  int sequences = 1;
  ParameterTable parameters;
  graph::PackedLayout packed;
  std::unique_ptr<graph::Plan> train, eval;  // loss and gradients; loss
};

}  // namespace flywheel::model
