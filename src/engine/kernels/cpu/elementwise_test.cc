// Activations, embeddings, flat loops and AdamW, each at lengths around the width of a vector.
#include "engine/kernels/elementwise.h"

#include <bit>
#include <limits>

#include "engine/kernels/kernels.h"
#include "engine/kernels/reference/kernel_testing.h"
#include "engine/kernels/reference/reference.h"

namespace flywheel::kernels {
namespace {

constexpr int64_t kLengths[] = {0, 1, 3, 15, 16, 17, 63, 100, 5000};

TEST(Activation, AgreesWithReference) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (int64_t n : kLengths) {
        for (Activation kind : {Activation::kNone, Activation::kGelu, Activation::kReluSquared, Activation::kSilu}) {
          GuardedBuffer x(n, dtype), dy(n, dtype), y(n, dtype), expected(n, dtype);
          x.randomise(1, 3);
          dy.randomise(2);
          activation_forward(kind, x.data(), y.data(), dtype, n);
          reference::activation_forward(kind, x.data(), expected.data(), dtype, n);
          expect_close(y, expected, tolerance(dtype), "forward");
          activation_backward(kind, x.data(), dy.data(), y.data(), dtype, n);
          reference::activation_backward(kind, x.data(), dy.data(), expected.data(), dtype, n);
          expect_close(y, expected, tolerance(dtype), "backward");
        }
      }
    }
  });
}

TEST(Activation, ExtremeInputsSaturate) {
  GuardedBuffer x(4, tensor::Dtype::kFloat32), y(4, tensor::Dtype::kFloat32);
  const float inputs[] = {-1e4f, 1e4f, -100, 100};
  for (int64_t i = 0; i < 4; ++i) x.set(i, inputs[i]);
  activation_forward(Activation::kGelu, x.data(), y.data(), tensor::Dtype::kFloat32, 4);
  EXPECT_NEAR(y[0], 0, 1e-30);
  EXPECT_FLOAT_EQ(y[1], 1e4f);  // a reciprocal is exact to the last bit or so
  EXPECT_NEAR(y[2], 0, 1e-30);
  EXPECT_FLOAT_EQ(y[3], 100);
}

TEST(Activation, BackwardIsTheDerivativeOfForward) {
  GuardedBuffer x(40, tensor::Dtype::kFloat32), dy(40, tensor::Dtype::kFloat32), y(40, tensor::Dtype::kFloat32),
      dx(40, tensor::Dtype::kFloat32);
  x.randomise(1);
  dy.randomise(2);
  activation_backward(Activation::kGelu, x.data(), dy.data(), dx.data(), tensor::Dtype::kFloat32, 40);
  const auto loss = [&] {
    activation_forward(Activation::kGelu, x.data(), y.data(), tensor::Dtype::kFloat32, 40);
    return project(y, dy);
  };
  expect_gradient(loss, x, dx);
}

TEST(Gated, AgreesWithReference) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (Activation gate : {Activation::kSilu, Activation::kGelu}) {
        for (int64_t f : {1, 5, 16, 33}) {
          GuardedBuffer gate_up(3 * 2 * f, dtype), dy(3 * f, dtype), y(3 * f, dtype), expected(3 * f, dtype);
          GuardedBuffer d(3 * 2 * f, dtype), expected_d(3 * 2 * f, dtype);
          gate_up.randomise(1, 3);
          dy.randomise(2);
          gated_forward(gate, gate_up.data(), y.data(), dtype, 3, f);
          reference::gated_forward(gate, gate_up.data(), expected.data(), dtype, 3, f);
          expect_close(y, expected, tolerance(dtype), "forward");
          gated_backward(gate, gate_up.data(), dy.data(), d.data(), dtype, 3, f);
          reference::gated_backward(gate, gate_up.data(), dy.data(), expected_d.data(), dtype, 3, f);
          expect_close(d, expected_d, tolerance(dtype), "backward");
        }
      }
    }
  });
}

TEST(Gated, BackwardIsTheDerivativeOfForward) {
  for (Activation gate : {Activation::kSilu, Activation::kGelu}) {
    GuardedBuffer gate_up(2 * 2 * 9, tensor::Dtype::kFloat32), dy(18, tensor::Dtype::kFloat32),
        y(18, tensor::Dtype::kFloat32), d(36, tensor::Dtype::kFloat32);
    gate_up.randomise(1);
    dy.randomise(2);
    gated_backward(gate, gate_up.data(), dy.data(), d.data(), tensor::Dtype::kFloat32, 2, 9);
    const auto loss = [&] {
      gated_forward(gate, gate_up.data(), y.data(), tensor::Dtype::kFloat32, 2, 9);
      return project(y, dy);
    };
    expect_gradient(loss, gate_up, d);
  }
}

TEST(Embedding, ForwardPicksRowsAndBackwardAddsThemUp) {
  for_each_target([] {
    constexpr int64_t kWidth = 19;
    const uint16_t tokens[] = {3, 0, 3};
    GuardedBuffer table(4 * kWidth, tensor::Dtype::kFloat32), positions(3 * kWidth, tensor::Dtype::kFloat32),
        x(3 * kWidth, tensor::Dtype::kFloat32);
    GuardedBuffer dtable(4 * kWidth, tensor::Dtype::kFloat32), dpositions(3 * kWidth, tensor::Dtype::kFloat32);
    table.randomise(1);
    positions.randomise(2);
    embedding_forward(tokens, table.floats(), nullptr, 3, kWidth, x.floats());
    EXPECT_EQ(x[2 * kWidth + 5], table[3 * kWidth + 5]);
    embedding_forward(tokens, table.floats(), positions.floats(), 3, kWidth, x.floats());
    EXPECT_EQ(x[kWidth + 5], table[5] + positions[kWidth + 5]);
    embedding_backward(tokens, x.floats(), 3, kWidth, dtable.floats(), dpositions.floats());
    EXPECT_EQ(dtable[3 * kWidth + 18], x[18] + x[2 * kWidth + 18]);
    EXPECT_EQ(dtable[kWidth], 0);
    EXPECT_EQ(dpositions[kWidth + 1], x[kWidth + 1]);
    EXPECT_TRUE(x.guards_intact() && dtable.guards_intact() && dpositions.guards_intact());
  });
}

TEST(Convert, RoundsToNearestEvenAndKeepsSpecials) {
  for_each_target([] {
    for (int64_t n : kLengths) {
      GuardedBuffer x(n, tensor::Dtype::kFloat32), y(n, tensor::Dtype::kBfloat16), back(n, tensor::Dtype::kFloat32);
      x.randomise(1);
      const float specials[] = {
          std::bit_cast<float>(0x3f808000u),      std::bit_cast<float>(0x3f818000u), -0.0f, 3.4e38f,
          std::numeric_limits<float>::infinity(), std::bit_cast<float>(0x7fffffffu), 1e-40f};
      for (int64_t i = 0; i < std::min<int64_t>(n, 7); ++i) x.set(i, specials[i]);
      convert(x.floats(), y.bfloats(), n);
      convert(y.bfloats(), back.floats(), n);
      for (int64_t i = 0; i < n; ++i) {
        if (std::abs(x[i]) < 1e-38f && back[i] == 0) continue;  // the processor's own conversion has no denormals
        ASSERT_EQ(std::bit_cast<uint32_t>(back[i]) >> 16, tensor::to_bfloat16(x[i]).bits) << i;
      }
      EXPECT_TRUE(y.guards_intact() && back.guards_intact());
    }
  });
}

TEST(FlatLoops, AddScaleAndSquares) {
  for_each_target([] {
    for (int64_t n : kLengths) {
      GuardedBuffer x(n, tensor::Dtype::kFloat32), y(n, tensor::Dtype::kFloat32), out(n, tensor::Dtype::kFloat32);
      x.randomise(1);
      y.randomise(2);
      double squares = 0;
      for (int64_t i = 0; i < n; ++i) squares += double{x[i]} * x[i];
      EXPECT_NEAR(sum_of_squares(x.floats(), n), squares, 1e-6 * squares);
      for (int64_t i = 0; i < n; ++i) out.set(i, x[i] + y[i]);
      add(x.floats(), y.floats(), n);
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(out[i], y[i]);
      scale(y.floats(), 0.5f, n);
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(out[i] * 0.5f, y[i]);
      fill(y.floats(), 7, n);
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(y[i], 7);
      EXPECT_TRUE(out.guards_intact() && y.guards_intact());
    }
  });
}

TEST(Adamw, AgreesWithReference) {
  const AdamwStep step{.learning_rate = 0.01f,
                       .beta1 = 0.9f,
                       .beta2 = 0.95f,
                       .epsilon = 1e-8f,
                       .weight_decay = 0.1f,
                       .correction1 = 0.1f,
                       .correction2 = 0.05f,
                       .gradient_scale = 0.5f};
  for_each_target([&] {
    for (int64_t n : kLengths) {
      GuardedBuffer g(n, tensor::Dtype::kFloat32), w(n, tensor::Dtype::kFloat32), m1(n, tensor::Dtype::kFloat32),
          m2(n, tensor::Dtype::kFloat32);
      g.randomise(1);
      w.randomise(2);
      m1.randomise(3);
      for (int64_t i = 0; i < n; ++i) m2.set(i, m1[i] * m1[i]);
      GuardedBuffer expected_w = w, expected_m1 = m1, expected_m2 = m2;
      adamw(step, g.floats(), w.floats(), m1.floats(), m2.floats(), n);
      reference::adamw(step, g.floats(), expected_w.floats(), expected_m1.floats(), expected_m2.floats(), n);
      expect_close(w, expected_w, 1e-6, "weight");
      expect_close(m1, expected_m1, 1e-6, "moment1");
      expect_close(m2, expected_m2, 1e-6, "moment2");
    }
  });
}

TEST(Machine, NamesItsInstructionSetAndHasAPeak) {
  for_each_target([] {
    EXPECT_THAT(instruction_set(), testing::AnyOf("AMX-BF16", "AVX512-BF16", "AVX-512", "AVX2", "NEON", "portable"));
    EXPECT_EQ(slower_paths().empty(), has_bfloat16_dot());
    EXPECT_GT(measure_peak_gflops(tensor::Dtype::kFloat32, 0), 0);
    EXPECT_GT(measure_peak_gflops(tensor::Dtype::kBfloat16, 0), 0);
  });
}

}  // namespace
}  // namespace flywheel::kernels
