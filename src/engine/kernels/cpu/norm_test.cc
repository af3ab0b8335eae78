// Norms against the reference and against numeric derivatives.
#include "engine/kernels/norm.h"

#include "engine/kernels/reference/kernel_testing.h"
#include "engine/kernels/reference/reference.h"

namespace flywheel::kernels {
namespace {

constexpr int64_t kRows = 5;

TEST(Norm, AgreesWithReferenceForwardAndBackward) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (int64_t c : {1, 7, 16, 33, 64, 200}) {
        for (int options = 0; options < 8; ++options) {
          SCOPED_TRACE(testing::Message() << "width " << c << ", options " << options);
          const bool mean = options & 1;
          GuardedBuffer x(kRows * c, tensor::Dtype::kFloat32), gain(c, tensor::Dtype::kFloat32),
              bias(c, tensor::Dtype::kFloat32);
          GuardedBuffer y(kRows * c, dtype), expected_y(kRows * c, dtype), dy(kRows * c, dtype);
          GuardedBuffer statistics(2 * kRows, tensor::Dtype::kFloat32),
              expected_statistics(2 * kRows, tensor::Dtype::kFloat32);
          x.randomise(1, 3);
          dy.randomise(2);
          float* g = options & 2 ? gain.randomise(3).floats() : nullptr;
          float* b = options & 4 ? bias.randomise(4).floats() : nullptr;
          norm_forward(mean, x.floats(), g, b, kRows, c, y.data(), dtype, statistics.floats());
          reference::norm_forward(mean, x.floats(), g, b, kRows, c, expected_y.data(), dtype,
                                  expected_statistics.floats());
          // A width of one has no deviation: its y is rounding noise times 1 / sqrt(epsilon).
          if (c > 1 || !mean) expect_close(y, expected_y, tolerance(dtype), "y");
          expect_close(statistics, expected_statistics, 1e-5, "statistics");
          GuardedBuffer dx(kRows * c, tensor::Dtype::kFloat32), expected_dx(kRows * c, tensor::Dtype::kFloat32);
          GuardedBuffer dgain(c, tensor::Dtype::kFloat32), expected_dgain(c, tensor::Dtype::kFloat32);
          GuardedBuffer dbias(c, tensor::Dtype::kFloat32), expected_dbias(c, tensor::Dtype::kFloat32);
          for (GuardedBuffer* d : {&dx, &expected_dx, &dgain, &expected_dgain, &dbias, &expected_dbias})
            d->randomise(5);
          norm_backward(mean, x.floats(), g, statistics.floats(), dy.data(), dtype, kRows, c, dx.floats(),
                        g ? dgain.floats() : nullptr, b ? dbias.floats() : nullptr);
          reference::norm_backward(mean, x.floats(), g, statistics.floats(), dy.data(), dtype, kRows, c,
                                   expected_dx.floats(), g ? expected_dgain.floats() : nullptr,
                                   b ? expected_dbias.floats() : nullptr);
          expect_close(dx, expected_dx, tolerance(tensor::Dtype::kFloat32), "dx");
          expect_close(dgain, expected_dgain, tolerance(tensor::Dtype::kFloat32), "dgain");
          expect_close(dbias, expected_dbias, tolerance(tensor::Dtype::kFloat32), "dbias");
        }
      }
    }
  });
}

TEST(Norm, BackwardIsTheDerivativeOfForward) {
  for (bool mean : {false, true}) {
    constexpr int64_t kWidth = 6;
    GuardedBuffer x(kRows * kWidth, tensor::Dtype::kFloat32), gain(kWidth, tensor::Dtype::kFloat32),
        bias(kWidth, tensor::Dtype::kFloat32);
    GuardedBuffer y(x.size(), tensor::Dtype::kFloat32), dy(x.size(), tensor::Dtype::kFloat32),
        statistics(2 * kRows, tensor::Dtype::kFloat32);
    GuardedBuffer dx(x.size(), tensor::Dtype::kFloat32), dgain(kWidth, tensor::Dtype::kFloat32),
        dbias(kWidth, tensor::Dtype::kFloat32);
    x.randomise(1);
    gain.randomise(2);
    dy.randomise(3);
    const auto loss = [&] {
      norm_forward(mean, x.floats(), gain.floats(), bias.floats(), kRows, kWidth, y.data(), tensor::Dtype::kFloat32,
                   statistics.floats());
      return project(y, dy);
    };
    loss();
    norm_backward(mean, x.floats(), gain.floats(), statistics.floats(), dy.data(), tensor::Dtype::kFloat32, kRows,
                  kWidth, dx.floats(), dgain.floats(), dbias.floats());
    expect_gradient(loss, x, dx);
    expect_gradient(loss, gain, dgain);
    expect_gradient(loss, bias, dbias);
  }
}

TEST(DynamicTanh, AgreesWithReferenceForwardAndBackward) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (int64_t c : {1, 7, 16, 33, 200}) {
        GuardedBuffer x(kRows * c, tensor::Dtype::kFloat32), gain(c, tensor::Dtype::kFloat32),
            bias(c, tensor::Dtype::kFloat32);
        GuardedBuffer y(kRows * c, dtype), expected_y(kRows * c, dtype), dy(kRows * c, dtype);
        x.randomise(1, 3);
        gain.randomise(3);
        bias.randomise(4);
        dy.randomise(2);
        dynamic_tanh_forward(x.floats(), 0.4f, gain.floats(), bias.floats(), kRows, c, y.data(), dtype);
        reference::dynamic_tanh_forward(x.floats(), 0.4f, gain.floats(), bias.floats(), kRows, c, expected_y.data(),
                                        dtype);
        expect_close(y, expected_y, tolerance(dtype), "y");
        GuardedBuffer dx(kRows * c, tensor::Dtype::kFloat32), expected_dx(kRows * c, tensor::Dtype::kFloat32);
        GuardedBuffer dgain(c, tensor::Dtype::kFloat32), expected_dgain(c, tensor::Dtype::kFloat32);
        GuardedBuffer dbias(c, tensor::Dtype::kFloat32), expected_dbias(c, tensor::Dtype::kFloat32);
        GuardedBuffer dalpha(1, tensor::Dtype::kFloat32), expected_dalpha(1, tensor::Dtype::kFloat32);
        for (GuardedBuffer* d : {&dx, &expected_dx, &dgain, &expected_dgain, &dbias, &expected_dbias}) d->randomise(5);
        dynamic_tanh_backward(x.floats(), 0.4f, gain.floats(), dy.data(), dtype, kRows, c, dx.floats(), dalpha.floats(),
                              dgain.floats(), dbias.floats());
        reference::dynamic_tanh_backward(x.floats(), 0.4f, gain.floats(), dy.data(), dtype, kRows, c,
                                         expected_dx.floats(), expected_dalpha.floats(), expected_dgain.floats(),
                                         expected_dbias.floats());
        expect_close(dx, expected_dx, tolerance(tensor::Dtype::kFloat32), "dx");
        expect_close(dgain, expected_dgain, tolerance(tensor::Dtype::kFloat32), "dgain");
        expect_close(dbias, expected_dbias, tolerance(tensor::Dtype::kFloat32), "dbias");
        // One sum over everything, in which terms cancel: against the size of the terms.
        EXPECT_NEAR(dalpha[0], expected_dalpha[0], 1e-5 * static_cast<double>(kRows * c) + 1e-5);
      }
    }
  });
}

}  // namespace
}  // namespace flywheel::kernels
