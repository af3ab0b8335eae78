// What elementwise kernels make of inputs that are no numbers or infinite: on every instruction set the element that
// depends on one is no number either, or the function's limit, and its neighbours are as they were. A NaN that became a
// plausible number would go on as a result.
#include "engine/kernels/elementwise.h"
#include "engine/kernels/gates.h"
#include "engine/kernels/heads.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/norm.h"
#include "engine/kernels/reference/not_a_number_testing.h"
#include "engine/kernels/rwkv.h"
#include "engine/kernels/short_convolution.h"

namespace flywheel::kernels {
namespace {

// x and y (kOddLength) of dtype: element i of y depends on element i of x and of nothing else that changes.
struct Elementwise {
  const char* name;
  void (*run)(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype);
};

template <Activation kKind>
void activation(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  activation_forward(kKind, x.data(), y.data(), dtype, kOddLength);
}
template <Activation kKind>
void activation_slope(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  activation_backward(kKind, x.data(), random_buffer(kOddLength, dtype, 8).data(), y.data(), dtype, kOddLength);
}
template <Activation kKind>
void activation_gradient(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  activation_backward(kKind, random_buffer(kOddLength, dtype, 8).data(), x.data(), y.data(), dtype, kOddLength);
}
// kGateUp: 0 the gate is x, 1 the other factor is.
template <Activation kKind, int kGateUp>
void gated(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  GuardedBuffer both = random_buffer(2 * kOddLength, dtype, 9);
  for (int64_t i = 0; i < kOddLength; ++i) both.set(kGateUp * kOddLength + i, x[i]);
  gated_forward(kKind, both.data(), y.data(), dtype, 1, kOddLength);
}
template <Activation kKind, int kGateUp>
void gated_gradient(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  GuardedBuffer both = random_buffer(2 * kOddLength, dtype, 9), d(2 * kOddLength, dtype);
  gated_backward(kKind, both.data(), x.data(), d.data(), dtype, 1, kOddLength);
  for (int64_t i = 0; i < kOddLength; ++i) y.set(i, d[kGateUp * kOddLength + i]);
}
template <Squash kKind>
void squash(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  squash_forward(kKind, dtype, x.data(), y.data(), kOddLength);
}
void gate_of(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  gate_forward(random_buffer(kOddLength, dtype, 8).data(), x.data(), y.data(), dtype, kOddLength);
}
void gated_value(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  gate_forward(x.data(), random_buffer(kOddLength, dtype, 8).data(), y.data(), dtype, kOddLength);
}
void gate_slope(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  GuardedBuffer dx(kOddLength, dtype);
  gate_backward(random_buffer(kOddLength, dtype, 8).data(), x.data(), random_buffer(kOddLength, dtype, 9).data(),
                dx.data(), y.data(), dtype, kOddLength);
}
template <Forget kKind>
void forget(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  const ForgetShape shape{.kind = kKind, .tokens = 1, .width = kOddLength};
  GuardedBuffer in = random_buffer(2 * kOddLength, dtype, 8), decay(kOddLength, tensor::Dtype::kFloat32),
                beta(kOddLength, tensor::Dtype::kFloat32);
  for (int64_t i = 0; i < kOddLength; ++i) in.set(i, x[i]);
  forget_forward(shape, dtype, in.data(), random_buffer(kOddLength, tensor::Dtype::kFloat32, 5).floats(),
                 random_buffer(kOddLength, tensor::Dtype::kFloat32, 6).floats(), decay.floats(), beta.floats());
  for (int64_t i = 0; i < kOddLength; ++i) y.set(i, decay[i]);
}
void bounded_tanh(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  GuardedBuffer stream(kOddLength, tensor::Dtype::kFloat32);
  for (int64_t i = 0; i < kOddLength; ++i) stream.set(i, x[i]);
  dynamic_tanh_forward(stream.floats(), 0.4f, random_buffer(kOddLength, tensor::Dtype::kFloat32, 5).floats(),
                       random_buffer(kOddLength, tensor::Dtype::kFloat32, 6).floats(), 1, kOddLength, y.data(), dtype);
}
void convolution(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  short_convolution_forward({1, kOddLength, 3}, dtype, x.data(),
                            random_buffer(3 * kOddLength, tensor::Dtype::kFloat32, 5).floats(), y.data());
}
void shift(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  GuardedBuffer others = y;
  void* streams[kShifts];
  for (void*& stream : streams) stream = others.data();
  streams[3] = y.data();
  token_shift_forward(1, kOddLength, dtype, x.data(), nullptr,
                      random_buffer(kShifts * kOddLength, tensor::Dtype::kFloat32, 5).floats(), streams);
}
void mixed_values(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  value_residual_forward({1, kOddLength, kOddLength}, dtype, x.data(), random_buffer(kOddLength, dtype, 8).data(), 0.3f,
                         y.data());
}
void product_activation(GuardedBuffer& x, GuardedBuffer& y, tensor::Dtype dtype) {
  GuardedBuffer one(1, tensor::Dtype::kFloat32), packed(packed_bytes(1, 1, dtype) / tensor::dtype_bytes(dtype), dtype);
  one.fill(1);
  pack(one.floats(), 1, 1, 1, 1, dtype, packed.data());
  GuardedBuffer slope = y;
  matmul(x.data(), dtype, 1, kOddLength, 1, packed.data(), 1, y.data(), dtype, 1,
         {.activation = Activation::kReluSquared, .slope = slope.data()});
  for (int64_t i = 0; i < kOddLength; ++i) EXPECT_EQ(std::isnan(slope[i]), std::isnan(x[i]));
}

const Elementwise kElementwise[] = {
    {"none", activation<Activation::kNone>},
    {"gelu", activation<Activation::kGelu>},
    {"relu squared", activation<Activation::kReluSquared>},
    {"silu", activation<Activation::kSilu>},
    {"gelu slope", activation_slope<Activation::kGelu>},
    {"relu squared slope", activation_slope<Activation::kReluSquared>},
    {"silu slope", activation_slope<Activation::kSilu>},
    {"gelu gradient", activation_gradient<Activation::kGelu>},
    {"relu squared gradient", activation_gradient<Activation::kReluSquared>},
    {"SwiGLU gate", gated<Activation::kSilu, 0>},
    {"SwiGLU value", gated<Activation::kSilu, 1>},
    {"GEGLU gate", gated<Activation::kGelu, 0>},
    {"SwiGLU gate gradient", gated_gradient<Activation::kSilu, 0>},
    {"SwiGLU value gradient", gated_gradient<Activation::kSilu, 1>},
    {"tanh", squash<Squash::kTanh>},
    {"sigmoid", squash<Squash::kSigmoid>},
    {"gate", gate_of},
    {"gated value", gated_value},
    {"gate slope", gate_slope},
    {"forget, root", forget<Forget::kRoot>},
    {"forget, step", forget<Forget::kStep>},
    {"forget, delta", forget<Forget::kDelta>},
    {"forget, sigmoid", forget<Forget::kSigmoid>},
    {"dynamic tanh", bounded_tanh},
    {"short convolution", convolution},
    {"token shift", shift},
    {"value residual", mixed_values},
    {"product and ReLU squared", product_activation},
};

TEST(NotANumber, StaysOneInItsPlaceAndNowhereElse) {
  for_each_target([] {
    for (const Elementwise& kernel : kElementwise) {
      for (tensor::Dtype dtype : kBothDtypes) {
        for (const int64_t at : {int64_t{0}, int64_t{17}, kOddLength - 1}) {
          SCOPED_TRACE(testing::Message() << kernel.name << ", " << name_of(dtype) << ", place " << at);
          GuardedBuffer x = random_buffer(kOddLength, dtype, 1), y(kOddLength, dtype);
          x.set(at, kNan);
          kernel.run(x, y, dtype);
          EXPECT_TRUE(std::isnan(y[at])) << y[at];
          EXPECT_TRUE(all_finite(y, 0, at) && all_finite(y, at + 1, kOddLength));
        }
      }
    }
  });
}

// An infinite input gives what a very large one gives, or no finite number.
TEST(Infinity, GivesTheLimitOrNoNumber) {
  for_each_target([] {
    for (const Elementwise& kernel : kElementwise) {
      for (tensor::Dtype dtype : kBothDtypes) {
        for (const float sign : {-1.0f, 1.0f}) {
          SCOPED_TRACE(testing::Message() << kernel.name << ", " << name_of(dtype) << ", sign " << sign);
          GuardedBuffer x = random_buffer(kOddLength, dtype, 1), large = x, y(kOddLength, dtype),
                        limit(kOddLength, dtype);
          x.set(17, sign * kInfinity);
          large.set(17, sign * 1e8f);
          kernel.run(x, y, dtype);
          kernel.run(large, limit, dtype);
          if (std::isfinite(y[17])) {
            EXPECT_NEAR(y[17], limit[17], tolerance(dtype) * (1e-3 + std::abs(limit[17])));
          }
          EXPECT_TRUE(all_finite(y, 0, 17) && all_finite(y, 18, kOddLength));
        }
      }
    }
  });
}

}  // namespace
}  // namespace flywheel::kernels
