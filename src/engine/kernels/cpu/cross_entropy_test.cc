// The output head against the reference and against numeric derivatives.
#include "engine/kernels/cross_entropy.h"

#include <numeric>

#include "engine/kernels/matmul.h"
#include "engine/kernels/reference/kernel_testing.h"
#include "engine/kernels/reference/reference.h"

namespace flywheel::kernels {
namespace {

struct Head {
  HeadShape shape;
  GuardedBuffer x, weights, packed, packed_transposed, dx, dw, workspace;
  std::vector<uint16_t> targets;
  HeadOptions options;
  Head(int64_t t, int64_t c, int64_t v, tensor::Dtype dtype, const HeadOptions& o = {.logit_scale = 0.7f})
      : shape{.tokens = t, .width = c, .vocabulary = v, .dtype = dtype},
        x(t * c, dtype),
        weights(v * c, tensor::Dtype::kFloat32),
        packed(packed_bytes(c, v, dtype) / tensor::dtype_bytes(dtype), dtype),
        packed_transposed(packed_bytes(v, c, dtype) / tensor::dtype_bytes(dtype), dtype),
        dx(t * c, tensor::Dtype::kFloat32),
        dw(v * c, tensor::Dtype::kFloat32),
        workspace(head_workspace_bytes(shape) / 4, tensor::Dtype::kFloat32),
        options(o) {
    x.randomise(1);
    weights.randomise(2, 0.5);
    dw.randomise(3);
    Rng rng(4);
    for (int64_t i = 0; i < t; ++i) targets.push_back(static_cast<uint16_t>(rng.below(static_cast<uint64_t>(v))));
    pack_weights();
  }
  void pack_weights() {
    pack(weights.floats(), shape.width, shape.vocabulary, 1, shape.width, shape.dtype, packed.data());
    pack(weights.floats(), shape.vocabulary, shape.width, shape.width, 1, shape.dtype, packed_transposed.data());
  }
  double loss() {
    std::vector<double> losses(targets.size());
    head_loss(shape, x.data(), packed.data(), options, targets.data(), losses.data(), workspace.data());
    return std::accumulate(losses.begin(), losses.end(), 0.0);
  }
  double gradient() {
    return head_loss_and_gradient(shape, x.data(), packed.data(), packed_transposed.data(), options, 1.5f,
                                  targets.data(), dx.floats(), dw.floats(), workspace.data());
  }
};

TEST(Head, LossAndGradientsAgreeWithReference) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (auto [t, c, v, kind] : {std::array<int64_t, 4>{1, 1, 1, 0},
                                   {3, 8, 2, 0},
                                   {37, 33, 257, 0},
                                   {300, 16, 1000, 0},
                                   {0, 8, 8, 0},
                                   {2, 4, 50000, 0},
                                   {3, 8, 2, 1},
                                   {37, 33, 257, 1},
                                   {37, 33, 257, 2},
                                   {37, 33, 257, 3},
                                   {2, 4, 50000, 3}}) {
        SCOPED_TRACE(testing::Message() << t << " tokens, width " << c << ", vocabulary " << v << ", options " << kind);
        const HeadOptions options{.logit_scale = 0.7f, .softcap = kind & 1 ? 1.5f : 0, .z_loss = kind & 2 ? 0.1f : 0};
        Head head(t, c, v, dtype, options);
        GuardedBuffer dx(t * c, tensor::Dtype::kFloat32), dw(v * c, tensor::Dtype::kFloat32);
        dw.randomise(3);
        const double expected =
            reference::head_loss_and_gradient(head.shape, head.x.data(), head.weights.floats(), options, 1.5f,
                                              head.targets.data(), dx.floats(), dw.floats());
        EXPECT_NEAR(head.loss(), expected, 1e-5 * std::abs(expected) + 1e-6);
        EXPECT_NEAR(head.gradient(), expected, 1e-5 * std::abs(expected) + 1e-6);
        expect_close(head.dx, dx, tolerance(dtype), "dx");
        expect_close(head.dw, dw, tolerance(dtype), "dw");
        EXPECT_TRUE(head.workspace.guards_intact());
      }
    }
  });
}

TEST(Head, GradientIsTheDerivativeOfTheLoss) {
  for (const float softcap : {0.0f, 2.0f}) {
    Head head(5, 6, 11, tensor::Dtype::kFloat32, {.logit_scale = 0.7f, .softcap = softcap});
    head.dw.fill(0);
    head.gradient();
    expect_gradient([&] { return 1.5 * head.loss(); }, head.x, head.dx);
    const auto loss = [&] {
      head.pack_weights();
      return 1.5 * head.loss();
    };
    expect_gradient(loss, head.weights, head.dw);
  }
}

// The z-loss of one token is the weight times the squared log-partition, which the logits give.
TEST(Head, ZLossIsInTheGradientAndNotInTheLoss) {
  Head with(1, 6, 11, tensor::Dtype::kFloat32, {.z_loss = 0.3f}), without(1, 6, 11, tensor::Dtype::kFloat32, {});
  EXPECT_EQ(with.gradient(), without.gradient());
  GuardedBuffer logits(11, tensor::Dtype::kFloat32), difference(6, tensor::Dtype::kFloat32);
  for (int64_t i = 0; i < 6; ++i) difference.set(i, with.dx[i] - without.dx[i]);
  const auto z_loss = [&] {
    head_logits(with.shape, with.x.data(), with.packed.data(), with.options, logits.floats());
    double sum = 0;
    for (int64_t v = 0; v < 11; ++v) sum += std::exp(double{logits[v]});
    return 1.5 * 0.3 * std::log(sum) * std::log(sum);
  };
  expect_gradient(z_loss, with.x, difference);
}

TEST(Head, LogitsOfOneRowAreThoseOfTheLoss) {
  for (const float softcap : {0.0f, 1.2f}) {
    Head head(1, 24, 50, tensor::Dtype::kBfloat16, {.logit_scale = 0.7f, .softcap = softcap});
    GuardedBuffer logits(50, tensor::Dtype::kFloat32);
    head_logits(head.shape, head.x.data(), head.packed.data(), head.options, logits.floats());
    double sum = 0;
    for (int64_t v = 0; v < 50; ++v) sum += std::exp(double{logits[v]});
    EXPECT_NEAR(std::log(sum) - double{logits[head.targets[0]]}, head.loss(), 1e-5);
    EXPECT_TRUE(logits.guards_intact());
  }
}

}  // namespace
}  // namespace flywheel::kernels
