// Sizes of the engine's runs with what they cost beside the model's FLOPs.
#include "workload/flywheel/flywheel_workload.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "workload/flywheel/recipe_configuration.h"

namespace flywheel::workload {
namespace {

// An optimizer that takes `each` FLOPs a step.
FlywheelWorkload with_optimizer(double each, int* asked = nullptr) {
  return FlywheelWorkload({.corpus = "/corpus", .step_costs = [=](const recipe::Recipe&, const recipe::Size&) {
                             if (asked != nullptr) ++*asked;
                             return protocol::StepCosts{.optimizer_flops = each,
                                                        .lookup_bytes_per_token = 10,
                                                        .lookup_bytes_per_step = 1000,
                                                        .table_parameters = 0,
                                                        .artifact_bytes = 4000};
                           }});
}

TEST(FlywheelWorkload, AComparedRunCostsItsRungOptimizerIncluded) {
  const ConfigurationPtr configuration = make_configuration(recipe::Recipe());
  for (const double rung : {3e10, 1e12}) {
    const SizedRun free = with_optimizer(0).prior_size(*configuration, rung);
    const double steps = static_cast<double>(size_of(free).steps);
    for (const double share : {0.25, 1.0}) {
      const FlywheelWorkload workload = with_optimizer(share * free.flops / steps);
      const SizedRun run = at_cost(workload, *configuration, workload.prior_size(*configuration, rung), rung);
      EXPECT_EQ(run.model, free.model);
      EXPECT_NEAR((run.flops + run.optimizer_flops) / rung, 1, 1 / steps + 0.005) << rung << " " << share;
      EXPECT_NEAR(run.budget_flops(), run.flops + run.optimizer_flops, 1);
      EXPECT_LT(run.tokens, free.tokens);
    }
  }
}

TEST(FlywheelWorkload, PlansAndSizesSayTheSameOfTheOptimizer) {
  int asked = 0;
  const FlywheelWorkload workload = with_optimizer(1e6, &asked);
  const ConfigurationPtr configuration = make_configuration(recipe::Recipe());
  const SizedRun run = workload.prior_size(*configuration, 3e10);
  RunRequest request;
  request.id = "a";
  const RunPlan plan = workload.plan(*configuration, run, request);
  EXPECT_DOUBLE_EQ(plan.work.own_optimizer_flops(), run.new_optimizer_flops);
  EXPECT_DOUBLE_EQ(workload.read_plan(plan.spec, "spec").work.own_optimizer_flops(), run.optimizer_flops);
  EXPECT_DOUBLE_EQ(run.lookup_bytes, 10 * run.tokens + 1000 * static_cast<double>(size_of(run).steps));
  EXPECT_EQ(run.artifact_bytes, 4000);
  EXPECT_EQ(asked, 1);  // of one recipe and model it is counted once
}

TEST(FlywheelWorkload, ABranchPaysForItsOwnOptimizerSteps) {
  const FlywheelWorkload workload = with_optimizer(1e6);
  const ConfigurationPtr configuration = make_configuration(recipe::Recipe());
  const SizedRun trunk = workload.prior_size(*configuration, 3e10);
  const auto branch = workload.branched(*configuration, workload.resized(*configuration, trunk, 1e11), trunk);
  ASSERT_TRUE(branch);
  const recipe::Size& size = size_of(*branch);
  ASSERT_GT(size.trunk_steps, 0);
  EXPECT_DOUBLE_EQ(branch->optimizer_flops, 1e6 * static_cast<double>(size.steps));
  EXPECT_DOUBLE_EQ(branch->new_optimizer_flops, 1e6 * static_cast<double>(size.steps - size.trunk_steps));
}

}  // namespace
}  // namespace flywheel::workload
