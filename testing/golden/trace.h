// What gpt_trace.py records of a small model: its patches, its loss, and of each parameter in order its gradient's
// norm, projection and first elements (fewer elements than four: the rest is zero).
#pragma once

#include <array>
#include <string>
#include <vector>

namespace flywheel::testing::golden {

struct Gradient {
  const char* parameter;
  double norm, projection;
  std::array<double, 4> first;
};
struct Trace {
  std::vector<std::string> patches;
  double loss;
  std::vector<Gradient> gradients;
};

}  // namespace flywheel::testing::golden
