#include "engine/graph/profile.h"

#include <time.h>

#include "engine/graph/op.h"

namespace flywheel::graph {
namespace {

double thread_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

void Profile::observe(const Plan& plan, size_t step, int sequences) {
  const double now = thread_cpu_seconds();
  if (step > 0) {
    const Node& node = plan.graph().nodes()[plan.steps()[step - 1].node];
    std::string key = node.op->name;
    for (size_t i = 0; i < node.inputs.size() && i < 2; ++i) {
      if (node.inputs[i] != kNoValue) key.append(1, ' ').append(to_string(plan.graph().value(node.inputs[i]).shape));
    }
    Line& line = lines_[key];
    line.seconds += now - started_;
    line.flops += node.op->flops == nullptr ? 0 : sequences * node.op->flops(plan.graph(), node);
    ++line.calls;
  }
  started_ = thread_cpu_seconds();
}

double Profile::seconds() const {
  double sum = 0;
  for (const auto& entry : lines_) sum += entry.second.seconds;
  return sum;
}

}  // namespace flywheel::graph
