#include "graph/profile.h"

#include "graph/op.h"

namespace flywheel::graph {

void Profile::observe(const Plan& plan, size_t step) {
  const auto now = std::chrono::steady_clock::now();
  if (step > 0) {
    const Node& node = plan.graph().nodes()[plan.steps()[step - 1].node];
    std::string key = node.op->name;
    for (size_t i = 0; i < node.inputs.size() && i < 2; ++i) {
      if (node.inputs[i] != kNoValue) key.append(1, ' ').append(to_string(plan.graph().value(node.inputs[i]).shape));
    }
    Line& line = lines_[key];
    line.seconds += std::chrono::duration<double>(now - started_).count();
    line.flops += node.op->flops == nullptr ? 0 : node.op->flops(plan.graph(), node);
    ++line.calls;
  }
  started_ = std::chrono::steady_clock::now();
}

double Profile::seconds() const {
  double sum = 0;
  for (const auto& entry : lines_) sum += entry.second.seconds;
  return sum;
}

}  // namespace flywheel::graph
