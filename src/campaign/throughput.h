// Predicts how long a run takes on this machine from the runs made so far, so that a campaign ends on time.
#pragma once

#include <vector>

namespace flywheel::campaign {

// Not thread safe; a value.
class Throughput {
 public:
  // A finished run: matrix parameters, its FLOPs (training and evaluation), its slot seconds, start-up included.
  void add(double parameters, double flops, double seconds);
  bool empty() const { return observations_.empty(); }

  // FLOP/s of one slot for models of this size: a local linear regression in log-log, flat beyond the observed sizes.
  double flops_per_second(double parameters) const;
  double seconds(double parameters, double flops) const {
    return kStartupSeconds + flops / flops_per_second(parameters);
  }

  static constexpr double kStartupSeconds = 0.08;  // process, corpus map, graph, first checkpoint

 private:
  struct Observation {
    double log_parameters, log_rate, weight;
  };
  std::vector<Observation> observations_;
};

}  // namespace flywheel::campaign
