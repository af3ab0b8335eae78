// The parameters of a model in the order they are declared, and their places in the flat float32 buffer.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/model/model.h"

namespace flywheel::model {

class ParameterTable {
 public:
  // Places `parameter` (its offset is set here). Declaring the same name again gives the one there is: the training and
  // evaluation graphs are built from the same table.
  const ParameterInfo& declare(ParameterInfo parameter);
  std::span<const ParameterInfo> all() const { return parameters_; }
  int64_t elements() const { return elements_; }  // padding included

 private:
  std::vector<ParameterInfo> parameters_;
  int64_t elements_ = 0;
};

}  // namespace flywheel::model
