#include "engine/model/parameter_table.h"

#include <algorithm>

#include "base/check.h"
#include "engine/tensor/arena.h"

namespace flywheel::model {

const ParameterInfo& ParameterTable::declare(ParameterInfo parameter) {
  const auto found = std::find_if(parameters_.begin(), parameters_.end(),
                                  [&](const ParameterInfo& p) { return p.name == parameter.name; });
  if (found != parameters_.end()) {
    CHECK(found->shape == parameter.shape, "{} is {} and {}", parameter.name, to_string(found->shape),
          to_string(parameter.shape));
    return *found;
  }
  parameter.offset = elements_;
  elements_ += tensor::align_up(parameter.shape.elements(),
                                tensor::Arena::kAlignment / tensor::dtype_bytes(tensor::Dtype::kFloat32));
  parameters_.push_back(std::move(parameter));
  return parameters_.back();
}

}  // namespace flywheel::model
