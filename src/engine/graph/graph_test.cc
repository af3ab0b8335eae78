// The compiler's parts: autodiff with several users, fusion, the memory plan on random programs, refusals.
#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/graph/fusion.h"
#include "engine/graph/memory_plan.h"
#include "engine/graph/op.h"
#include "engine/graph/ops/activation.h"
#include "engine/graph/ops/add.h"
#include "engine/graph/ops/linear.h"
#include "engine/graph/ops/norm.h"
#include "testing/gradient_check.h"

namespace flywheel::graph {
namespace {

using Ids = std::vector<ValueId>;

// A random directed acyclic computation on (8, 6): every value so far may be used again, any number of times.
testing::Fragment random_fragment(uint64_t seed) {
  return {
      "random graph", {{8, 6}, {8, 6}}, {{6, 6}, {6}, {6, 6}}, [seed](Graph& g, const Ids& x, const Ids& p, ValueId) {
        Rng rng(seed, 1);
        Ids values = {linear(g, norm(g, true, add(g, x[0], x[1]), p[1], kNoValue, tensor::Dtype::kFloat32), p[0],
                             tensor::Dtype::kFloat32),
                      linear(g, x[1], p[2], tensor::Dtype::kFloat32)};
        const auto pick = [&] { return values[rng.below(values.size())]; };
        for (int i = 0; i < 12; ++i) {
          switch (rng.below(4)) {
            case 0:
              values.push_back(add(g, pick(), pick()));
              break;
            case 1:
              values.push_back(norm(g, rng.below(2) == 0, pick(), p[1], kNoValue, tensor::Dtype::kFloat32));
              break;
            case 2:
              values.push_back(activation(g, kernels::Activation::kGelu, pick()));
              break;
            default:
              values.push_back(linear(g, pick(), p[rng.below(2) * 2], tensor::Dtype::kFloat32));
              break;
          }
        }
        ValueId sum = values[0];  // of all of them, normalised so that differences stay accurate
        for (size_t i = 1; i < values.size(); ++i) sum = add(g, sum, values[i]);
        return norm(g, false, sum, kNoValue, kNoValue, tensor::Dtype::kFloat32);
      }};
}

TEST(RandomGraph, GradientsMatchFiniteDifferences) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    check_gradients(random_fragment(seed), false, seed, 1e-2);
    check_gradients(random_fragment(seed), true, seed, 1e-2);
  }
}

TEST(RandomGraph, FusionKeepsTheNumbersAndLeavesFewerSteps) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    testing::FragmentRun plain(random_fragment(seed), false, seed), fused(random_fragment(seed), true, seed);
    EXPECT_LT(fused.plan().steps().size(), plain.plan().steps().size());
    // Sums are taken in another order: float32 rounding only.
    EXPECT_NEAR(fused.run(), plain.run(), 1e-3);
    for (size_t k = 0; k < plain.operands(); ++k) {
      const std::vector<float> a = fused.gradient(k), b = plain.gradient(k);
      double scale = 1;
      for (float v : b) scale = std::max(scale, std::abs(double{v}));
      for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4 * scale) << k;
    }
  }
}

TEST(RandomGraph, RunsRepeatBitForBit) {
  testing::FragmentRun run(random_fragment(3), true, 3);
  const double first = run.run();
  const std::vector<float> gradient = run.gradient(0);
  EXPECT_EQ(run.run(), first);
  EXPECT_EQ(run.gradient(0), gradient);
}

TEST(MemoryPlan, LiveBlocksNeverOverlapAndTheArenaIsNearTheLowerBound) {
  double worst = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    std::vector<Block> blocks;
    const int steps = 1 + static_cast<int>(rng.below(60));
    for (uint64_t i = 0, n = rng.below(120); i < n; ++i) {
      const int first = static_cast<int>(rng.below(static_cast<uint64_t>(steps)));
      blocks.push_back({1 + static_cast<int64_t>(rng.below(5000)), first,
                        std::min(steps - 1, first + static_cast<int>(rng.below(12)))});
    }
    const MemoryPlan plan = plan_memory(blocks);
    ASSERT_EQ(plan.offsets.size(), blocks.size());
    int64_t lower_bound = 0;
    for (int step = 0; step < steps; ++step) {
      int64_t live = 0;
      for (const Block& b : blocks) live += b.first <= step && step <= b.last ? tensor::align_up(b.bytes) : 0;
      lower_bound = std::max(lower_bound, live);
    }
    for (size_t i = 0; i < blocks.size(); ++i) {
      EXPECT_EQ(plan.offsets[i] % tensor::Arena::kAlignment, 0);
      EXPECT_LE(plan.offsets[i] + blocks[i].bytes, plan.bytes);
      for (size_t j = 0; j < i; ++j) {
        const bool together = blocks[i].first <= blocks[j].last && blocks[j].first <= blocks[i].last;
        const bool apart = plan.offsets[i] + blocks[i].bytes <= plan.offsets[j] ||
                           plan.offsets[j] + blocks[j].bytes <= plan.offsets[i];
        EXPECT_TRUE(!together || apart) << "seed " << seed << " blocks " << i << " " << j;
      }
    }
    EXPECT_GE(plan.bytes, lower_bound);
    if (lower_bound > 0) worst = std::max(worst, static_cast<double>(plan.bytes) / static_cast<double>(lower_bound));
  }
  EXPECT_LT(worst, 1.5);  // greedy best fit stays within a third on such programs; seen: 1.3
}

TEST(Fusion, ResidualAndActivationGoIntoTheLinears) {
  PackedLayout layout;
  Graph g(&layout);
  const ValueId x = g.external("x", {8, 6}, tensor::Dtype::kFloat32);
  const ValueId up = g.parameter("up", {12, 6}, 0), down = g.parameter("down", {6, 12}, 128);
  const ValueId h = activation(g, kernels::Activation::kGelu, linear(g, x, up, tensor::Dtype::kFloat32));
  const ValueId y = add(g, x, linear(g, h, down, tensor::Dtype::kFloat32));
  g.keep(y);
  fuse(g);
  ASSERT_EQ(g.nodes().size(), 2u);
  EXPECT_EQ(g.nodes()[0].op, &kLinear);
  EXPECT_EQ(g.nodes()[0].outputs[1], kNoValue);  // nobody needs the value before the activation
  EXPECT_EQ(g.nodes()[1].op, &kLinear);
  EXPECT_EQ(g.nodes()[1].inputs[kLinearAccumulate], x);
  EXPECT_EQ(g.nodes()[1].outputs[0], y);
}

TEST(Plan, MissingKernelIsRefusedByNameWhenThePlanIsBuilt) {
  const Op nowhere{.name = "nowhere",
                   .infer =
                       [](const Graph&, const Node&) {
                         return std::vector<TensorType>{{tensor::Shape{4}, tensor::Dtype::kFloat32}};
                       },
                   .vjp = nullptr};
  PackedLayout layout;
  Graph g(&layout);
  g.append(nowhere, {});
  try {
    const Plan plan(std::move(g), Backend::kCpu);
    FAIL() << "a plan was built";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(e.what()).find("\"nowhere\" has no kernel for the backend \"cpu\""), std::string::npos)
        << e.what();
  }
}

TEST(PackedLayout, EveryThreadCountPacksEveryMatrixOnce) {
  PackedLayout layout;
  std::vector<float> flat(4096);
  for (size_t i = 0; i < flat.size(); ++i) flat[i] = static_cast<float>(i);
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(layout.place(i * 300, {13 + i, 11}, false, tensor::Dtype::kFloat32),
              layout.place(i * 300, {13 + i, 11}, false, tensor::Dtype::kFloat32));
    layout.place(i * 300, {13 + i, 11}, true, i % 2 == 0 ? tensor::Dtype::kFloat32 : tensor::Dtype::kBfloat16);
  }
  ASSERT_EQ(layout.matrices().size(), 14u);
  const tensor::Arena whole(layout.bytes());
  layout.refresh(flat.data(), whole.data(), 0, 1);
  for (int threads : {2, 3, 20}) {
    const tensor::Arena shared(layout.bytes());
    for (int thread = 0; thread < threads; ++thread) layout.refresh(flat.data(), shared.data(), thread, threads);
    EXPECT_EQ(std::memcmp(whole.data(), shared.data(), static_cast<size_t>(layout.bytes())), 0) << threads;
  }
}

}  // namespace
}  // namespace flywheel::graph
