#include "engine/tensor/tensor.h"

#include <fmt/format.h>

namespace flywheel::tensor {

std::string to_string(const Shape& shape) {
  std::string text = "(";
  for (int i = 0; i < shape.rank; ++i) text += fmt::format("{}{}", i == 0 ? "" : ", ", shape[i]);
  return text + ")";
}

}  // namespace flywheel::tensor
