#include "workload/flywheel/flywheel_workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "workload/flywheel/recipe_configuration.h"

namespace flywheel::workload {
namespace {

FlywheelWorkload workload_with_lists() {
  return FlywheelWorkload({.corpus = "/corpus", .segments = [](protocol::Split split, int64_t tokens) {
                             return fmt::format("{} {}", protocol::name(split), tokens);
                           }});
}

ConfigurationPtr with_context(int context) {
  recipe::Recipe recipe;
  recipe.model.context = context;
  return make_configuration(recipe);
}

TEST(FlywheelWorkload, AllRecipesAreScoredOnOneListThatSpecAndPlanName) {
  const FlywheelWorkload workload = workload_with_lists();
  for (const int context : {64, 128, 129, 512}) {
    const ConfigurationPtr configuration = with_context(context);
    RunRequest request;
    request.id = "a";
    request.split = protocol::Split::kAudit;
    request.eval_tokens = 8192;
    const RunPlan plan = workload.plan(*configuration, workload.prior_size(*configuration, 1e10), request);
    EXPECT_EQ(plan.segments, "audit 8192");
    EXPECT_THAT(plan.spec, ::testing::HasSubstr(R"("segments": "audit 8192")"));
    EXPECT_EQ(workload.read_plan(plan.spec, "spec").segments, plan.segments);
  }
}

TEST(FlywheelWorkload, ALongerContextPaysForWhatItsEvaluationsRead) {
  const FlywheelWorkload workload = workload_with_lists();
  const auto per_scored = [&](int context) {
    const ConfigurationPtr configuration = with_context(context);
    const SizedRun run = workload.prior_size(*configuration, 1e10);
    const double forward = run.flops / run.tokens / 3;
    return workload.evaluation_flops_per_token(*configuration, run) / forward;
  };
  EXPECT_NEAR(per_scored(64), 4.0 / 3, 1e-9);
  EXPECT_NEAR(per_scored(128), 4.0 / 3, 1e-9);
  EXPECT_NEAR(per_scored(96), 2, 1e-9);  // two windows of 96 for 96 tokens
  EXPECT_NEAR(per_scored(512), 16.0 / 3, 1e-9);
}

TEST(FlywheelWorkload, EvaluationsStayASmallShareOfARunAtAnyContext) {
  const FlywheelWorkload workload = workload_with_lists();
  for (const int context : {64, 128, 256, 512, 2048}) {
    const ConfigurationPtr configuration = with_context(context);
    for (const double flops : {1e11, 1e12, 1e13}) {
      const SizedRun run = workload.prior_size(*configuration, flops);
      const double once = 65536 * workload.evaluation_flops_per_token(*configuration, run);
      const int count = evaluations(workload, *configuration, run, 65536);
      EXPECT_GE(count, 1);
      EXPECT_TRUE(count == 1 || count * once <= 0.05 * run.flops) << context << " " << flops;
      EXPECT_NEAR(cost_flops(workload, *configuration, run, 65536), run.flops + count * once, 1e-6 * run.flops);
    }
  }
}

}  // namespace
}  // namespace flywheel::workload
