// Compute-optimal allocation of a budget: size and tokens, the cost of other sizes, and the optimum of a model that
// will also be served. Units: N parameters, D tokens, FLOPs; loss as the law's. Pure and thread safe; deterministic.
//
// The compute-optimal size minimises L(N, D) at C = c(N) D (Hoffmann et al. 2022, section 3.3), c(N) training FLOPs per
// token, 6N unless the runs say otherwise. A served model costs c(N)/3 more for every token of inference, 2N where c is
// 6N, so its optimum is smaller and trained longer (Sardana et al. 2023, "Beyond Chinchilla-Optimal").
#pragma once

#include <functional>
#include <vector>

#include "scaling/laws/law.h"

namespace flywheel::scaling {

using Loss = std::function<double(double N, double D)>;
using FlopsPerToken = std::function<double(double N)>;
Loss loss_of(const Law& law);  // keeps a copy

// Times less compute than a budget: losses that take even less are worth so much.
inline constexpr double kFrontierReach = 200;

struct Range {
  double value = 0, low = 0, high = 0;
};

// The size of lowest loss at `flops`. Where loss falls all the way it is the smallest or the largest possible size, 1
// or that of one token. REQUIRES flops finite and above c(1).
double best_size(const Loss& loss, const FlopsPerToken& per_token, double flops);

// A model `factor` times the best size at the same FLOPs.
struct OffOptimum {
  double factor = 1;
  Range extra_loss;  // over the optimum's, in the loss's unit
  // FLOPs spent over those that the best size needs for this loss; 1: none wasted; kFrontierReach: so many or more.
  Range compute_multiple;
};

struct Allocation {
  double flops = 0;
  bool identified = false;  // false: N and D lie on the ladder's own path, with no intervals, and `off` is empty
  Range N, D, tokens_per_parameter;  // 90%
  Optimum loss;                      // at the value of N and D, with the forecast's interval
  std::vector<OffOptimum> off;       // 1/4, 1/2, 2 and 4 of the size; 90% of drawn surfaces, each from its own optimum
  // That of the planned size if a drawn surface is the truth: what not knowing the best size costs.
  Range compute_multiple_of_plan;
};

class Forecaster;
struct OptimumRule;
// The budget divided by the rule. Throws kBadInput for a budget that is not finite and above the FLOPs of one token of
// a model of one parameter.
Allocation allocate(const OptimumRule& rule, const Forecaster& forecaster, double flops);

// A model and its whole life.
struct Served {
  double N = 0, D = 0, loss = 0;
  double train_flops = 0, inference_flops = 0;
  double flops() const { return train_flops + inference_flops; }
};
// The cheapest model over its life that reaches `loss`; N 0 where no size can.
Served cheapest_at_loss(const Loss& loss, const FlopsPerToken& per_token, double target_loss, double inference_tokens);
// The lowest loss for `flops` in all; N 0 where inference alone costs more than that.
Served best_at_total(const Loss& loss, const FlopsPerToken& per_token, double flops, double inference_tokens);

}  // namespace flywheel::scaling
