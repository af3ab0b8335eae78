// Fused parameters are several matrices in one: what an optimizer that looks at whole matrices must know.
#pragma once

#include <cstdint>
#include <vector>

#include "model/model.h"

namespace flywheel::model {

// Rows of the matrices inside `parameter`, in order, each with all its columns; one entry for a plain one. A shape of
// rank three is as many matrices as its first number says.
std::vector<int64_t> matrix_parts(const Recipe& recipe, const Size& size, const ParameterInfo& parameter);

}  // namespace flywheel::model
