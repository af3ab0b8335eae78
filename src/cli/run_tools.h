// The engine as the campaign sees it: child processes of this same binary.
#pragma once

#include "campaign/campaign.h"

namespace flywheel::cli {

class ProcessTools : public campaign::Tools {
 public:
  campaign::Evaluation evaluate(const Path& run_directory, const std::string& split, int64_t tokens) override;
  std::string sample(const Path& run_directory, int tokens) override;
  uint64_t predict_memory_bytes(const recipe::RunSpec& spec) override;
};

}  // namespace flywheel::cli
