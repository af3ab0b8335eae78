// What a page shows of a fit beyond its results: the frontier as a curve, and what it costs to train a model of another
// size than the best.
#pragma once

#include <vector>

#include "scaling/allocation/allocation.h"
#include "scaling/fit/fit_result.h"

namespace flywheel::scaling {

struct FrontierRow {
  double flops = 0;
  Optimum optimum;
};

struct FitDetail {
  std::vector<FrontierRow> frontier;  // from the lowest compute to 100 times the highest, or as far as the runs carry
  std::vector<OffOptimum> off;        // at ten times the highest compute; empty where no optimum is identified
  double off_loss = 0;                // of the best size there
};

FitDetail fit_detail(const FitResult& result);

}  // namespace flywheel::scaling
