// Resources: what a run needs of a machine or cluster, and what a runner offers.
#pragma once

#include <cstdint>

namespace flywheel::protocol {

struct Resources {
  int cores = 1;
  uint64_t memory_bytes = 0;  // of a run, at its peak: 0 is unknown and always fits; of a runner: 0 is not limited
  int gpus = 0;

  bool operator==(const Resources&) const = default;
};

}  // namespace flywheel::protocol
