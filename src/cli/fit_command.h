// What `flywheel fit` is asked on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace flywheel::cli {

struct FitCommand {
  std::string runs, predict, report;
  std::string forms = "all";
  std::string group, unit, reduce = "none", outliers = "keep", compute_runs = "frontier";
  std::vector<std::string> columns;
  double huber = 1e-3;
  int drop_highest = 0, bootstrap = 400, threads = 1;
  uint64_t seed = 1;
  bool skip_bad_rows = false, checkpoints = false, shared_exponents = false, json = false;
};

}  // namespace flywheel::cli
