// Sizes of the engine's runs with what they cost beside the model's FLOPs, and the text that they are scored on.
#include "workload/flywheel/flywheel_workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

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

TEST(FlywheelWorkload, APlanIsChargedForTheEvaluationsThatItsSpecAsksFor) {
  const FlywheelWorkload workload = workload_with_lists();
  for (const int context : {64, 128, 512}) {
    const ConfigurationPtr configuration = with_context(context);
    for (const double flops : {1e10, 1e12}) {
      const SizedRun run = workload.prior_size(*configuration, flops);
      RunRequest request;
      request.id = "a";
      request.evaluations = evaluations(workload, *configuration, run, request.eval_tokens);
      const RunPlan plan = workload.plan(*configuration, run, request);
      const double once = request.eval_tokens * workload.evaluation_flops_per_token(*configuration, run);
      EXPECT_NEAR(plan.work.own_evaluation_flops(), request.evaluations * once, 1e-6 * once) << context << " " << flops;
      EXPECT_NEAR(plan.work.own_evaluation_flops(),
                  evaluations_flops(workload, *configuration, run, request.eval_tokens), 1e-6 * once);
      EXPECT_EQ(workload.read_plan(plan.spec, "spec").work.own_evaluation_flops(), plan.work.own_evaluation_flops());
    }
  }
}

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

// Rows of hashed tables that a step looks up are as many as its batch has tokens.
TEST(FlywheelWorkload, AStepsCostIsThatOfItsBatchWhateverWasAskedBefore) {
  const FlywheelWorkload workload(
      {.corpus = "/corpus", .step_costs = [](const recipe::Recipe&, const recipe::Size& size) {
         return protocol::StepCosts{.optimizer_flops = 1000.0 * size.batch_sequences};
       }});
  const ConfigurationPtr configuration = make_configuration(recipe::Recipe());
  const SizedRun first = workload.prior_size(*configuration, 1e10);
  std::set<int> batches;
  for (const double flops : {1e10, 3e10, 1e11, 1e10}) {
    const SizedRun run = workload.resized(*configuration, first, flops);
    const recipe::Size& size = size_of(run);
    batches.insert(size.batch_sequences);
    EXPECT_DOUBLE_EQ(run.optimizer_flops, 1000.0 * size.batch_sequences * static_cast<double>(size.steps)) << flops;
  }
  EXPECT_GE(batches.size(), 3u);
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
      EXPECT_NEAR(budget_flops(workload, *configuration, run, 4096),
                  run.flops + run.optimizer_flops + evaluations_flops(workload, *configuration, run, 4096), 1);
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
