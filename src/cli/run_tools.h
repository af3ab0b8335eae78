// The engine as the campaign sees it: child processes of this same binary.
#pragma once

#include "research/campaign.h"

namespace flywheel::cli {

class ProcessTools : public research::Tools {
 public:
  research::Evaluation evaluate(const Path& run_directory, const std::string& split, int64_t tokens) override;
  std::string sample(const Path& run_directory, int tokens) override;
  uint64_t predict_memory_bytes(const RunSpec& spec) override;
};

}  // namespace flywheel::cli
