// The output head against the reference and against numeric derivatives.
#include "kernels/cross_entropy.h"

#include "kernels/kernel_testing.h"
#include "kernels/matmul.h"
#include "kernels/reference.h"

namespace flywheel::kernels {
namespace {

struct Head {
  HeadShape shape;
  GuardedBuffer x, weights, packed, packed_transposed, dx, dw, workspace;
  std::vector<uint16_t> targets;
  Head(int64_t t, int64_t c, int64_t v, Dtype dtype)
      : shape{.tokens = t, .width = c, .vocabulary = v, .dtype = dtype},
        x(t * c, dtype),
        weights(v * c, Dtype::kFloat32),
        packed(packed_bytes(c, v, dtype) / dtype_bytes(dtype), dtype),
        packed_transposed(packed_bytes(v, c, dtype) / dtype_bytes(dtype), dtype),
        dx(t * c, Dtype::kFloat32),
        dw(v * c, Dtype::kFloat32),
        workspace(head_workspace_bytes(shape) / 4, Dtype::kFloat32) {
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
  double loss() { return head_loss(shape, x.data(), packed.data(), 0.7f, targets.data(), workspace.data()); }
  double gradient() {
    return head_loss_and_gradient(shape, x.data(), packed.data(), packed_transposed.data(), 0.7f, 1.5f, targets.data(),
                                  dx.floats(), dw.floats(), workspace.data());
  }
};

TEST(Head, LossAndGradientsAgreeWithReference) {
  for_each_target([] {
    for (Dtype dtype : kBothDtypes) {
      for (auto [t, c, v] : {std::array<int64_t, 3>{1, 1, 1}, {3, 8, 2}, {37, 33, 257}, {300, 16, 1000}, {0, 8, 8}}) {
        SCOPED_TRACE(testing::Message() << t << " tokens, width " << c << ", vocabulary " << v);
        Head head(t, c, v, dtype);
        GuardedBuffer dx(t * c, Dtype::kFloat32), dw(v * c, Dtype::kFloat32);
        dw.randomise(3);
        const double expected =
            reference::head_loss_and_gradient(head.shape, head.x.data(), head.weights.floats(), 0.7f, 1.5f,
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
  Head head(5, 6, 11, Dtype::kFloat32);
  head.dw.fill(0);
  head.gradient();
  expect_gradient([&] { return 1.5 * head.loss(); }, head.x, head.dx);
  const auto loss = [&] {
    head.pack_weights();
    return 1.5 * head.loss();
  };
  expect_gradient(loss, head.weights, head.dw);
}

TEST(Head, LogitsOfOneRowAreThoseOfTheLoss) {
  Head head(1, 24, 50, Dtype::kBfloat16);
  GuardedBuffer logits(50, Dtype::kFloat32);
  head_logits(head.shape, head.x.data(), head.packed.data(), 0.7f, logits.floats());
  double sum = 0;
  for (int64_t v = 0; v < 50; ++v) sum += std::exp(double{logits[v]});
  EXPECT_NEAR(std::log(sum) - double{logits[head.targets[0]]}, head.loss(), 1e-5);
  EXPECT_TRUE(logits.guards_intact());
}

}  // namespace
}  // namespace flywheel::kernels
