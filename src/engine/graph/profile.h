// Time per op, for benchmarks. Measured as CPU time of the thread, which other processes do not disturb. Costs nothing
// when not used.
#pragma once

#include <map>
#include <string>

#include "engine/graph/plan.h"

namespace flywheel::graph {

// Pass observe() to Plan::run_observed. Not thread safe.
class Profile {
 public:
  struct Line {
    double seconds = 0, flops = 0;
    int64_t calls = 0;
  };
  void observe(const Plan& plan, size_t step, int sequences = 1);
  // By op name and the shape of its first input.
  const std::map<std::string, Line>& lines() const { return lines_; }
  double seconds() const;

 private:
  double started_ = 0;
  std::map<std::string, Line> lines_;
};

}  // namespace flywheel::graph
