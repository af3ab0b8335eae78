// Forget gates and gated norms against the same formulas in float64, and their backward against numeric derivatives.
#include "engine/kernels/gates.h"

#include "engine/kernels/norm.h"
#include "engine/kernels/reference/kernel_testing.h"

namespace flywheel::kernels {
namespace {

constexpr Forget kForgets[] = {Forget::kRoot, Forget::kStep, Forget::kDelta, Forget::kSigmoid};

double log_decay_of(Forget kind, double x, double rate) {
  if (kind == Forget::kRoot) return -std::log1p(std::exp(-x)) / 16;
  if (has_rate(kind)) return -std::exp(rate) * std::log1p(std::exp(x));
  return -std::exp(-0.5) / (1 + std::exp(-x));
}

TEST(Forget, IsItsFormulaOnEveryTarget) {
  for_each_target([] {
    for (const Forget kind : kForgets) {
      for (tensor::Dtype dtype : kBothDtypes) {
        const ForgetShape shape{.kind = kind, .tokens = 3, .width = 21};
        GuardedBuffer x(3 * shape.input_width(), dtype), bias(21, tensor::Dtype::kFloat32),
            rate(21, tensor::Dtype::kFloat32);
        GuardedBuffer decay(63, tensor::Dtype::kFloat32), beta(63, tensor::Dtype::kFloat32),
            expected(63, tensor::Dtype::kFloat32), expected_beta(63, tensor::Dtype::kFloat32);
        x.randomise(1, 4);
        bias.randomise(2);
        rate.randomise(3);
        forget_forward(shape, dtype, x.data(), bias.floats(), rate.floats(), decay.floats(), beta.floats());
        for (int64_t i = 0; i < 63; ++i) {
          const int64_t at = i / 21 * shape.input_width() + i % 21;
          const double z = double{x[at]} + bias[i % 21];
          expected.set(i, static_cast<float>(log_decay_of(kind, z, rate[i % 21])));
          expected_beta.set(i, static_cast<float>(kind == Forget::kDelta ? 1 / (1 + std::exp(-double{x[at + 21]}))
                                                                         : std::log1p(std::exp(z))));
        }
        expect_close(decay, expected, 1e-5, "log decay");
        if (has_rate(kind)) expect_close(beta, expected_beta, 1e-5, "beta");
      }
    }
  });
}

TEST(Forget, ExtremeInputsGiveFiniteDecaysOfAtMostZero) {
  for (const Forget kind : kForgets) {
    const ForgetShape shape{.kind = kind, .tokens = 1, .width = 4};
    const float x[] = {-1e30f, -100, 100, 1e30f, 0, 0, 0, 0}, zeros[4] = {};
    float decay[4], beta[4];
    forget_forward(shape, tensor::Dtype::kFloat32, x, zeros, zeros, decay, beta);
    for (const float d : decay) EXPECT_TRUE(std::isfinite(d) && d <= 0) << d;
  }
}

TEST(Forget, BackwardIsTheDerivativeOfForward) {
  for (const Forget kind : kForgets) {
    const ForgetShape shape{.kind = kind, .tokens = 4, .width = 5};
    GuardedBuffer x(4 * shape.input_width(), tensor::Dtype::kFloat32), dx = x, decay(20, tensor::Dtype::kFloat32),
                                                                       beta = decay, ddecay = decay, dbeta = decay;
    GuardedBuffer bias(5, tensor::Dtype::kFloat32), rate = bias, dbias = bias, drate = bias;
    x.randomise(1);
    bias.randomise(2);
    rate.randomise(3);
    ddecay.randomise(4);
    dbeta.randomise(5);
    const auto loss = [&] {
      forget_forward(shape, tensor::Dtype::kFloat32, x.data(), bias.floats(), rate.floats(), decay.floats(),
                     beta.floats());
      return project(decay, ddecay) + (has_rate(kind) ? project(beta, dbeta) : 0);
    };
    forget_backward(shape, tensor::Dtype::kFloat32, x.data(), bias.floats(), rate.floats(), ddecay.floats(),
                    dbeta.floats(), dx.data(), dbias.floats(), drate.floats());
    expect_gradient(loss, x, dx);
    expect_gradient(loss, bias, dbias);
    if (has_rate(kind)) expect_gradient(loss, rate, drate);
  }
}

struct NormBuffers {
  GatedNormShape shape;
  tensor::Dtype dtype;
  GuardedBuffer x, gate, gain, y, dy, dx, dgate, dgain;
  NormBuffers(const GatedNormShape& s, tensor::Dtype d)
      : shape(s),
        dtype(d),
        x(s.tokens * s.width(), d),
        gate(x.size(), d),
        gain(s.width(), tensor::Dtype::kFloat32),
        y(x.size(), d),
        dy(x.size(), d),
        dx(x.size(), d),
        dgate(x.size(), d),
        dgain(gain.size(), tensor::Dtype::kFloat32) {
    x.randomise(1);
    gate.randomise(2);
    gain.randomise(3);
    dy.randomise(4);
  }
  void forward() { gated_norm_forward(shape, dtype, x.data(), gate.data(), gain.floats(), y.data()); }
  void backward() {
    gated_norm_backward(shape, dtype, x.data(), gate.data(), gain.floats(), dy.data(), dx.data(), dgate.data(),
                        dgain.floats());
  }
};

TEST(GatedNorm, IsItsFormulaOnEveryTarget) {
  for_each_target([] {
    for (const bool gate_first : {false, true}) {
      for (tensor::Dtype dtype : kBothDtypes) {
        NormBuffers b({.tokens = 3, .groups = 2, .group_width = 19, .gate_first = gate_first}, dtype);
        GuardedBuffer expected(b.y.size(), dtype);
        for (int64_t group = 0; group < 6; ++group) {
          double squares = 0;
          const auto silu = [&](int64_t i) { return b.gate[i] / (1 + std::exp(-double{b.gate[i]})); };
          for (int64_t i = group * 19; i < (group + 1) * 19; ++i) {
            const double n = b.x[i] * (gate_first ? silu(i) : 1);
            squares += n * n;
          }
          const double inverse = 1 / std::sqrt(squares / 19 + kNormEpsilon);
          for (int64_t i = group * 19; i < (group + 1) * 19; ++i)
            expected.set(i, static_cast<float>(b.x[i] * silu(i) * inverse * b.gain[i % 38]));
        }
        b.forward();
        expect_close(b.y, expected, tolerance(dtype), "y");
      }
    }
  });
}

TEST(GatedNorm, BackwardIsTheDerivativeOfForward) {
  for (const bool gate_first : {false, true}) {
    NormBuffers b({.tokens = 3, .groups = 2, .group_width = 7, .gate_first = gate_first}, tensor::Dtype::kFloat32);
    b.backward();
    const auto loss = [&] {
      b.forward();
      return project(b.y, b.dy);
    };
    expect_gradient(loss, b.x, b.dx);
    expect_gradient(loss, b.gate, b.dgate);
    expect_gradient(loss, b.gain, b.dgain);
  }
}

}  // namespace
}  // namespace flywheel::kernels
