// Loads the model of a run directory from its checkpoint, for evaluation and sampling.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/train/checkpoint.h"
#include "engine/train/loaded_model.h"

namespace flywheel::train {

struct RunModel {
  recipe::RunSpec spec;
  Progress progress;
  std::unique_ptr<LoadedModel> model;
};

// `threads` 0: all the cores this process may use. `context` 0: that of its training. Throws kBadInput when the
// directory is no run or holds no good checkpoint, or when its model has positions for another context; `warn` (may be
// empty) hears of damaged checkpoints.
RunModel load_run_model(const Path& directory, int threads, const std::function<void(const std::string&)>& warn,
                        int context = 0);

}  // namespace flywheel::train
