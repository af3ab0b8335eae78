// The short convolution against its formula, numeric derivatives, and itself a token at a time.
#include "engine/kernels/short_convolution.h"

#include "engine/kernels/reference/kernel_testing.h"

namespace flywheel::kernels {
namespace {

constexpr ConvolutionShape kShapes[] = {{1, 1, 2}, {5, 21, 4}, {2, 40, 4}, {9, 16, 3}};

struct Buffers {
  ConvolutionShape s;
  tensor::Dtype dtype;
  GuardedBuffer x, weight, y, dy, dx, dweight, workspace;
  Buffers(const ConvolutionShape& shape, tensor::Dtype d)
      : s(shape),
        dtype(d),
        x(s.tokens * s.width, d),
        weight(s.taps * s.width, tensor::Dtype::kFloat32),
        y(x.size(), d),
        dy(x.size(), d),
        dx(x.size(), d),
        dweight(weight.size(), tensor::Dtype::kFloat32),
        workspace(x.size(), tensor::Dtype::kFloat32) {
    x.randomise(1);
    weight.randomise(2);
    dy.randomise(3);
    workspace.fill(std::nanf(""));
  }
  void forward() { short_convolution_forward(s, dtype, x.data(), weight.floats(), y.data()); }
};

TEST(ShortConvolution, IsItsFormulaOnEveryTargetAndATokenAtATime) {
  for_each_target([] {
    for (const ConvolutionShape& shape : kShapes) {
      for (tensor::Dtype dtype : kBothDtypes) {
        Buffers b(shape, dtype);
        b.forward();
        GuardedBuffer expected(b.y.size(), dtype), stepped(b.y.size(), dtype),
            earlier((shape.taps - 1) * shape.width, dtype);
        for (int64_t t = 0; t < shape.tokens; ++t) {
          for (int64_t c = 0; c < shape.width; ++c) {
            double z = 0;
            for (int64_t j = 0; j < shape.taps && j <= t; ++j)
              z += double{b.weight[j * shape.width + c]} * b.x[(t - j) * shape.width + c];
            expected.set(t * shape.width + c, static_cast<float>(z / (1 + std::exp(-z))));
          }
          const int64_t at = t * shape.width;
          short_convolution_step(shape, dtype, element_address(b.x.data(), dtype, at), b.weight.floats(),
                                 earlier.data(), element_address(stepped.data(), dtype, at));
        }
        expect_close(b.y, expected, tolerance(dtype), "y");
        expect_close(stepped, b.y, tolerance(dtype), "a token at a time");
        EXPECT_TRUE(earlier.guards_intact());
      }
    }
  });
}

TEST(ShortConvolution, BackwardIsTheDerivativeOfForward) {
  for (const ConvolutionShape& shape : kShapes) {
    Buffers b(shape, tensor::Dtype::kFloat32);
    short_convolution_backward(shape, b.dtype, b.x.data(), b.weight.floats(), b.dy.data(), b.dx.data(),
                               b.dweight.floats(), b.workspace.floats());
    EXPECT_TRUE(b.dx.guards_intact() && b.dweight.guards_intact() && b.workspace.guards_intact());
    const auto loss = [&] {
      b.forward();
      return project(b.y, b.dy);
    };
    expect_gradient(loss, b.x, b.dx);
    expect_gradient(loss, b.weight, b.dweight);
  }
}

}  // namespace
}  // namespace flywheel::kernels
