// Attention and its companions against the reference and against numeric derivatives.
#include "engine/kernels/attention.h"

#include "engine/kernels/reference/kernel_testing.h"
#include "engine/kernels/reference/reference.h"

namespace flywheel::kernels {
namespace {

struct Case {
  int64_t tokens;
  int heads, kv_heads, head_dim;
  int64_t window = 0;
  float softcap = 0;
  bool alibi = false, sinks = false;
};
constexpr Case kCases[] = {{1, 1, 1, 8},
                           {5, 2, 2, 16},
                           {7, 4, 2, 6},
                           {50, 2, 1, 32},
                           {96, 3, 3, 16},
                           {131, 2, 1, 20},
                           {65, 1, 1, 80},
                           {33, 2, 2, 5},
                           {1, 1, 1, 8, 1, 5, true, true},
                           {9, 3, 1, 6, 100},
                           {61, 1, 1, 16, 1},
                           {131, 2, 1, 20, 7},
                           {200, 1, 1, 16, 64},
                           {97, 2, 2, 10, 48},
                           {77, 2, 2, 8, 77},
                           {203, 1, 1, 6, 11, 3, true, true},
                           {50, 2, 1, 12, 0, 0.7f},
                           {35, 3, 3, 16, 0, 1e6f},
                           {70, 6, 2, 8, 0, 0, true},
                           {41, 4, 4, 7, 0, 0, false, true},
                           {130, 2, 1, 16, 33, 2, false, true}};

AttentionShape shape_of(const Case& c) {
  return {.tokens = c.tokens,
          .heads = c.heads,
          .kv_heads = c.kv_heads,
          .head_dim = c.head_dim,
          .qkv_stride = (c.heads + 2 * c.kv_heads) * c.head_dim,
          .out_stride = c.heads * c.head_dim,
          .scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim)),
          .window = c.window,
          .softcap = c.softcap,
          .alibi = c.alibi};
}

struct Buffers {
  AttentionShape shape;
  tensor::Dtype dtype;
  GuardedBuffer qkv, out, dout, dqkv, log_sum_exp, sinks, dsinks, workspace;
  Buffers(const Case& c, tensor::Dtype d)
      : shape(shape_of(c)),
        dtype(d),
        qkv(c.tokens * shape.qkv_stride, d),
        out(c.tokens * shape.out_stride, d),
        dout(out.size(), d),
        dqkv(qkv.size(), d),
        log_sum_exp(c.heads * c.tokens, tensor::Dtype::kFloat32),
        sinks(c.heads, tensor::Dtype::kFloat32),
        dsinks(c.heads, tensor::Dtype::kFloat32),
        workspace(attention_workspace_bytes(shape, d) / 4, tensor::Dtype::kFloat32) {
    qkv.randomise(1);
    dout.randomise(2);
    sinks.randomise(3);
    if (c.sinks) shape.sinks = sinks.floats();
    workspace.fill(std::nanf(""));  // whatever is read must have been written
  }
  void forward() { attention_forward(shape, dtype, qkv.data(), out.data(), log_sum_exp.floats(), workspace.data()); }
  void backward() {
    attention_backward(shape, dtype, qkv.data(), out.data(), dout.data(), log_sum_exp.floats(), dqkv.data(),
                       dsinks.floats(), workspace.data());
  }
};

TEST(Attention, AgreesWithReferenceForwardAndBackward) {
  for_each_target([] {
    for (const Case& c : kCases) {
      SCOPED_TRACE(testing::Message() << c.tokens << " tokens, " << c.heads << "/" << c.kv_heads << " heads of "
                                      << c.head_dim << ", window " << c.window << ", softcap " << c.softcap);
      for (tensor::Dtype dtype : kBothDtypes) {
        Buffers b(c, dtype);
        GuardedBuffer out(b.out.size(), dtype), dqkv(b.dqkv.size(), dtype),
            log_sum_exp(b.log_sum_exp.size(), tensor::Dtype::kFloat32), dsinks(c.heads, tensor::Dtype::kFloat32);
        b.dsinks.fill(0.5f);  // added to
        dsinks.fill(0.5f);
        b.forward();
        b.backward();
        reference::attention_forward(b.shape, dtype, b.qkv.data(), out.data(), log_sum_exp.floats());
        reference::attention_backward(b.shape, dtype, b.qkv.data(), b.dout.data(), dqkv.data(), dsinks.floats());
        expect_close(b.out, out, tolerance(dtype), "out");
        // In bfloat16 exponentials are good to 8e-5, and a log-sum-exp may be a half.
        expect_close(b.log_sum_exp, log_sum_exp, dtype == tensor::Dtype::kFloat32 ? 1e-5 : 3e-4, "log-sum-exp");
        expect_close(b.dqkv, dqkv, 2 * tolerance(dtype), "dqkv");  // five products in a row
        expect_close(b.dsinks, dsinks, 2 * tolerance(dtype), "dsinks");
        EXPECT_TRUE(b.workspace.guards_intact());
      }
    }
  });
}

TEST(Attention, BackwardIsTheDerivativeOfForward) {
  for (const Case& c : {Case{9, 2, 1, 4}, Case{9, 2, 1, 4, 3, 1.5f, true, true}}) {
    Buffers b(c, tensor::Dtype::kFloat32);
    b.forward();
    b.backward();
    const auto loss = [&] {
      b.forward();
      return project(b.out, b.dout);
    };
    expect_gradient(loss, b.qkv, b.dqkv);
    if (c.sinks) expect_gradient(loss, b.sinks, b.dsinks);
  }
}

TEST(Attention, TokensBeforeTheWindowChangeNothing) {
  for (tensor::Dtype dtype : kBothDtypes) {
    Buffers b({150, 2, 1, 16, 20}, dtype);
    b.forward();
    GuardedBuffer before = b.out;
    for (int64_t i = 0; i < 100 * b.shape.qkv_stride; ++i) b.qkv.set(i, 3.0f);
    b.forward();
    for (int64_t i = 119 * b.shape.out_stride; i < b.out.size(); ++i) ASSERT_EQ(before[i], b.out[i]) << i;
    EXPECT_NE(before[119 * b.shape.out_stride - 1], b.out[119 * b.shape.out_stride - 1]);
  }
}

TEST(AlibiSlope, FollowsThePaperAndItsCodeForOtherHeadCounts) {
  for (int head = 0; head < 8; ++head) EXPECT_FLOAT_EQ(alibi_slope(head, 8), std::ldexp(1.0f, -head - 1));
  EXPECT_FLOAT_EQ(alibi_slope(0, 1), std::ldexp(1.0f, -8));
  const double six[] = {0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125};  // of four, then every other one of eight
  for (int head = 0; head < 6; ++head) EXPECT_FLOAT_EQ(alibi_slope(head, 6), static_cast<float>(six[head]));
}

TEST(Attention, LaterTokensDoNotChangeEarlierOutputs) {
  Buffers b({60, 2, 2, 16}, tensor::Dtype::kBfloat16);
  b.forward();
  GuardedBuffer before = b.out;
  for (int64_t i = 50 * b.shape.qkv_stride; i < b.qkv.size(); ++i) b.qkv.set(i, 3.0f);
  b.forward();
  for (int64_t i = 0; i < 50 * b.shape.out_stride; ++i) ASSERT_EQ(before[i], b.out[i]) << i;
}

TEST(Attention, LargeScoresStayFinite) {
  Buffers b({40, 1, 1, 16}, tensor::Dtype::kFloat32);
  b.qkv.randomise(3, 60);
  b.forward();
  b.backward();
  for (int64_t i = 0; i < b.dqkv.size(); ++i) ASSERT_TRUE(std::isfinite(b.dqkv[i]));
}

struct QkBuffers {
  QkShape shape;
  tensor::Dtype dtype;
  GuardedBuffer cosines, sines, qkv, inverse_rms;
  QkBuffers(int64_t tokens, int head_dim, bool norm, int rotary, tensor::Dtype d)
      : dtype(d),
        cosines(tokens * (rotary / 2), tensor::Dtype::kFloat32),
        sines(cosines.size(), tensor::Dtype::kFloat32),
        qkv(tokens * 5 * head_dim, d),
        inverse_rms(tokens * 3, tensor::Dtype::kFloat32) {
    rope_table(tokens, rotary, 10000, cosines.floats(), sines.floats());
    shape = {.tokens = tokens,
             .stride = 5 * head_dim,
             .vectors = 3,
             .head_dim = head_dim,
             .qk_norm = norm,
             .rotary = rotary,
             .cosines = rotary > 0 ? cosines.floats() : nullptr,
             .sines = rotary > 0 ? sines.floats() : nullptr};
    qkv.randomise(1);
  }
};

TEST(QkPrepare, AgreesWithReferenceInEveryCombination) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (int head_dim : {2, 6, 16, 32, 64, 90}) {
        for (int options = 0; options < 6; ++options) {
          const int rotary = options / 2 == 0 ? 0 : options / 2 == 1 ? head_dim : head_dim / 4 * 2;
          QkBuffers actual(7, head_dim, options & 1, rotary, dtype), expected(7, head_dim, options & 1, rotary, dtype);
          qk_prepare_forward(actual.shape, dtype, actual.qkv.data(), actual.inverse_rms.floats());
          reference::qk_prepare_forward(expected.shape, dtype, expected.qkv.data(), expected.inverse_rms.floats());
          expect_close(actual.qkv, expected.qkv, tolerance(dtype), "prepared");
          expect_close(actual.inverse_rms, expected.inverse_rms, 1e-5, "inverse rms");
          GuardedBuffer d(actual.qkv.size(), dtype), expected_d(actual.qkv.size(), dtype);
          d.randomise(2);
          expected_d.randomise(2);
          qk_prepare_backward(actual.shape, dtype, actual.qkv.data(), actual.inverse_rms.floats(), d.data());
          reference::qk_prepare_backward(actual.shape, dtype, actual.qkv.data(), actual.inverse_rms.floats(),
                                         expected_d.data());
          expect_close(d, expected_d, tolerance(dtype), "gradient");
        }
      }
    }
  });
}

TEST(QkPrepare, BackwardIsTheDerivativeOfForward) {
  QkBuffers b(3, 8, true, 6, tensor::Dtype::kFloat32);
  GuardedBuffer direction(b.qkv.size(), tensor::Dtype::kFloat32), prepared = b.qkv,
                                                                  gradient(b.qkv.size(), tensor::Dtype::kFloat32);
  direction.randomise(5);
  gradient.randomise(5);
  qk_prepare_forward(b.shape, b.dtype, prepared.data(), b.inverse_rms.floats());
  qk_prepare_backward(b.shape, b.dtype, prepared.data(), b.inverse_rms.floats(), gradient.data());
  const auto loss = [&] {
    prepared = b.qkv;
    qk_prepare_forward(b.shape, b.dtype, prepared.data(), b.inverse_rms.floats());
    return project(prepared, direction);
  };
  expect_gradient(loss, b.qkv, gradient);
}

}  // namespace
}  // namespace flywheel::kernels
