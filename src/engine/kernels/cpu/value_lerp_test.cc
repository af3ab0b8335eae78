#include "engine/kernels/value_lerp.h"

#include <cmath>

#include "engine/kernels/reference/kernel_testing.h"

namespace flywheel::kernels {
namespace {

constexpr int64_t kTokens = 3, kWidth = 21;

struct Values {
  GuardedBuffer value, first, x, bias;
  explicit Values(tensor::Dtype dtype)
      : value(kTokens * kWidth, dtype), first(value), x(value), bias(kWidth, tensor::Dtype::kFloat32) {
    uint64_t seed = 1;
    for (GuardedBuffer* buffer : {&value, &first, &x, &bias}) buffer->randomise(seed++);
  }
  ValueLerp inputs() {
    return {.tokens = kTokens,
            .width = kWidth,
            .value = value.data(),
            .first = first.data(),
            .x = x.data(),
            .bias = bias.floats()};
  }
};

TEST(ValueLerp, IsItsFormulaOnEveryTarget) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      Values v(dtype);
      GuardedBuffer y(v.value.size(), dtype), expected(v.value.size(), dtype);
      value_lerp_forward(v.inputs(), dtype, y.data());
      for (int64_t i = 0; i < y.size(); ++i) {
        const double share = 1 / (1 + std::exp(-(double{v.x[i]} + v.bias[i % kWidth])));
        expected.set(i, static_cast<float>(v.value[i] + (double{v.first[i]} - v.value[i]) * share));
      }
      expect_close(y, expected, tolerance(dtype), "y");
    }
  });
}

TEST(ValueLerp, BackwardIsTheDerivativeOfForward) {
  Values v(tensor::Dtype::kFloat32);
  GuardedBuffer dy = v.value, y = v.value, dvalue = v.value, dfirst = v.value, dx = v.value;
  GuardedBuffer dbias(kWidth, tensor::Dtype::kFloat32);
  dy.randomise(20);
  value_lerp_backward(v.inputs(), tensor::Dtype::kFloat32, dy.data(),
                      {.value = dvalue.data(), .first = dfirst.data(), .x = dx.data(), .bias = dbias.floats()});
  const auto loss = [&] {
    value_lerp_forward(v.inputs(), tensor::Dtype::kFloat32, y.data());
    return project(y, dy);
  };
  expect_gradient(loss, v.value, dvalue);
  expect_gradient(loss, v.first, dfirst);
  expect_gradient(loss, v.x, dx);
  expect_gradient(loss, v.bias, dbias);
}

}  // namespace
}  // namespace flywheel::kernels
