// What products, norms, attention, the head and recurrences make of inputs that are no numbers or infinite: every
// result that depends on one is no number either, on every instruction set. The elementwise kernels:
// not_a_number_elementwise_test.cc.
#include "engine/kernels/attention.h"
#include "engine/kernels/attention_cached.h"
#include "engine/kernels/cross_entropy.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/experts.h"
#include "engine/kernels/gates.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/norm.h"
#include "engine/kernels/orthonormal.h"
#include "engine/kernels/recurrence.h"
#include "engine/kernels/reference/not_a_number_testing.h"
#include "engine/kernels/rwkv.h"
#include "engine/kernels/streams.h"

namespace flywheel::kernels {
namespace {

TEST(NotANumber, ReachesEveryProductThatUsesIt) {
  constexpr int64_t kM = 8, kK = 35;
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (const float bad : {kNan, kInfinity, -kInfinity}) {
        GuardedBuffer a = random_buffer(kM * kK, dtype, 1),
                      b = random_buffer(kK * kOddLength, tensor::Dtype::kFloat32, 2);
        GuardedBuffer packed(packed_bytes(kK, kOddLength, dtype) / tensor::dtype_bytes(dtype), dtype),
            c(kM * kOddLength, dtype);
        pack(b.floats(), kK, kOddLength, kOddLength, 1, dtype, packed.data());
        a.set(3 * kK + kK - 1, bad);
        matmul(a.data(), dtype, kK, kM, kK, packed.data(), kOddLength, c.data(), dtype, kOddLength);
        for (int64_t i = 0; i < c.size(); ++i) ASSERT_EQ(std::isfinite(c[i]), i / kOddLength != 3) << i;
        a.randomise(1);
        b.set(5 * kOddLength + 36, bad);
        pack(b.floats(), kK, kOddLength, kOddLength, 1, dtype, packed.data());
        matmul(a.data(), dtype, kK, kM, kK, packed.data(), kOddLength, c.data(), dtype, kOddLength);
        for (int64_t i = 0; i < c.size(); ++i) ASSERT_EQ(std::isfinite(c[i]), i % kOddLength != 36) << i;
        GuardedBuffer dy = random_buffer(kM * kOddLength, dtype, 4), dw(kOddLength * kK, tensor::Dtype::kFloat32);
        GuardedBuffer workspace(outer_workspace_bytes(kM, kOddLength, kK, dtype) / 4, tensor::Dtype::kFloat32);
        dy.set(2 * kOddLength + 1, bad);
        matmul_outer_accumulate(dy.data(), kOddLength, a.data(), kK, dtype, kM, kOddLength, kK, dw.floats(), kK,
                                workspace.data());
        for (int64_t i = 0; i < dw.size(); ++i) ASSERT_EQ(std::isfinite(dw[i]), i / kK != 1) << i;
      }
    }
  });
}

TEST(NotANumber, TakesTheWholeRowOfANorm) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (const bool mean : {false, true}) {
        GuardedBuffer x = random_buffer(3 * kOddLength, tensor::Dtype::kFloat32, 1), y(3 * kOddLength, dtype),
                      statistics(6, tensor::Dtype::kFloat32);
        x.set(kOddLength + 20, kNan);
        norm_forward(mean, x.floats(), nullptr, nullptr, 3, kOddLength, y.data(), dtype, statistics.floats());
        EXPECT_TRUE(all_finite(y, 0, kOddLength) && all_nan(y, kOddLength, 2 * kOddLength) &&
                    all_finite(y, 2 * kOddLength, 3 * kOddLength));
        GuardedBuffer dy = random_buffer(3 * kOddLength, dtype, 2), dx(3 * kOddLength, tensor::Dtype::kFloat32);
        norm_backward(mean, x.floats(), nullptr, statistics.floats(), dy.data(), dtype, 3, kOddLength, dx.floats(),
                      nullptr, nullptr);
        EXPECT_TRUE(all_finite(dx, 0, kOddLength) && all_nan(dx, kOddLength, 2 * kOddLength) &&
                    all_finite(dx, 2 * kOddLength, 3 * kOddLength));
        x.set(kOddLength + 20, kInfinity);
        norm_forward(mean, x.floats(), nullptr, nullptr, 3, kOddLength, y.data(), dtype, statistics.floats());
        EXPECT_TRUE(all_finite(y, 0, kOddLength) && std::isnan(y[kOddLength + 20]) &&
                    all_finite(y, 2 * kOddLength, 3 * kOddLength));
      }
      for (const bool gate_first : {false, true}) {
        const GatedNormShape shape{.tokens = 1, .groups = 2, .group_width = kOddLength, .gate_first = gate_first};
        GuardedBuffer x = random_buffer(2 * kOddLength, dtype, 1), gate = random_buffer(2 * kOddLength, dtype, 2),
                      y(2 * kOddLength, dtype);
        x.set(kOddLength + 4, kNan);
        gated_norm_forward(shape, dtype, x.data(), gate.data(),
                           random_buffer(2 * kOddLength, tensor::Dtype::kFloat32, 3).floats(), y.data());
        EXPECT_TRUE(all_finite(y, 0, kOddLength) && all_nan(y, kOddLength, 2 * kOddLength));
      }
      GuardedBuffer qk = random_buffer(3 * kOddLength, dtype, 1), inverse_rms(3, tensor::Dtype::kFloat32);
      qk.set(kOddLength + 9, kNan);
      qk_prepare_forward({.tokens = 1, .stride = 3 * kOddLength, .vectors = 3, .head_dim = kOddLength, .qk_norm = true},
                         dtype, qk.data(), inverse_rms.floats());
      EXPECT_TRUE(all_finite(qk, 0, kOddLength) && all_nan(qk, kOddLength, 2 * kOddLength) &&
                  all_finite(qk, 2 * kOddLength, 3 * kOddLength));
    }
  });
}

// One head of 16; tokens fill one tile and begin another.
struct Attended {
  static constexpr int64_t kTokens = 75, kDim = 16, kStride = 3 * kDim, kAt = 70;
  AttentionShape shape{.tokens = kTokens,
                       .heads = 1,
                       .kv_heads = 1,
                       .head_dim = kDim,
                       .qkv_stride = kStride,
                       .out_stride = kDim,
                       .scale = 0.25f};
  tensor::Dtype dtype;
  GuardedBuffer qkv, out, log_sum_exp, workspace;
  explicit Attended(tensor::Dtype d)
      : dtype(d),
        qkv(random_buffer(kTokens * kStride, d, 1)),
        out(kTokens * kDim, d),
        log_sum_exp(kTokens, tensor::Dtype::kFloat32),
        workspace(attention_workspace_bytes(shape, d) / 4, tensor::Dtype::kFloat32) {}
  void forward() { attention_forward(shape, dtype, qkv.data(), out.data(), log_sum_exp.floats(), workspace.data()); }
  GuardedBuffer gradient() {
    GuardedBuffer dout = random_buffer(out.size(), dtype, 2), dqkv(qkv.size(), dtype);
    attention_backward(shape, dtype, qkv.data(), out.data(), dout.data(), log_sum_exp.floats(), dqkv.data(), nullptr,
                       workspace.data());
    return dqkv;
  }
};

TEST(NotANumber, InAQueryKeyOrValueReachesEveryTokenThatSeesIt) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (const int bends : {0, 1, 2}) {
        for (const int64_t part : {0, 1, 2}) {
          SCOPED_TRACE(testing::Message() << name_of(dtype) << ", bends " << bends << ", part " << part);
          Attended a(dtype);
          a.shape.softcap = bends & 1 ? 5 : 0;
          a.shape.alibi = bends & 2;
          a.qkv.set(a.kAt * a.kStride + part * a.kDim, kNan);
          a.forward();
          const int64_t own = a.kAt * a.kDim, row_end = own + a.kDim;
          if (part < 2) {
            EXPECT_TRUE(all_finite(a.out, 0, own) && all_nan(a.out, own, row_end));
            EXPECT_EQ(all_finite(a.out, row_end, a.out.size()), part == 0);
            EXPECT_TRUE(std::isnan(a.log_sum_exp[a.kAt]));
          }
          for (int64_t t = a.kAt; part > 0 && t < a.kTokens; ++t) EXPECT_TRUE(std::isnan(a.out[t * a.kDim])) << t;
          const GuardedBuffer d = a.gradient();
          EXPECT_TRUE(std::isnan(d[a.kAt * a.kStride]));
        }
      }
    }
  });
}

TEST(Infinity, InAQueryOrValueGivesNoFiniteRow) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (const float bad : {kInfinity, -kInfinity}) {
        for (const int64_t at : {int64_t{0}, Attended::kAt}) {
          SCOPED_TRACE(testing::Message() << name_of(dtype) << ", " << bad << " at " << at);
          Attended query(dtype), value(dtype);
          query.qkv.set(at * query.kStride, bad);
          value.qkv.set(at * value.kStride + 2 * value.kDim, bad);
          query.forward();
          value.forward();
          EXPECT_TRUE(all_nan(query.out, at * query.kDim, (at + 1) * query.kDim));
          for (int64_t t = at; t < value.kTokens; ++t) EXPECT_FALSE(std::isfinite(value.out[t * value.kDim])) << t;
          EXPECT_FALSE(all_finite(query.gradient(), at * query.kStride, at * query.kStride + query.kDim));
        }
      }
    }
  });
}

TEST(NotANumber, InTheCacheReachesTheToken) {
  for (tensor::Dtype dtype : kBothDtypes) {
    for (const int64_t part : {0, 1, 2}) {
      for (const float softcap : {0.0f, 2.0f}) {
        const CachedAttentionShape shape{.heads = 1, .kv_heads = 1, .head_dim = 5, .scale = 1, .softcap = softcap};
        GuardedBuffer qkv = random_buffer(15, dtype, 1), keys = random_buffer(20, dtype, 2),
                      values = random_buffer(20, dtype, 3), out(5, dtype), scores(4, tensor::Dtype::kFloat32);
        qkv.set(part * 5 + 1, kNan);
        attention_cached(shape, dtype, qkv.data(), keys.data(), values.data(), 3, out.data(), scores.floats());
        EXPECT_TRUE(part == 2 ? std::isnan(out[1]) && !std::isnan(out[0]) : all_nan(out, 0, 5)) << part;
      }
    }
  }
}

TEST(NotANumber, MakesTheLossAndItsGradientsNoNumbers) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (const float softcap : {0.0f, 3.0f}) {
        for (const float bad : {kNan, kInfinity}) {
          constexpr int64_t kWidth = 6, kTokens = 3;
          const HeadShape shape{.tokens = kTokens, .width = kWidth, .vocabulary = kOddLength, .dtype = dtype};
          GuardedBuffer x = random_buffer(kTokens * kWidth, dtype, 1),
                        w = random_buffer(kOddLength * kWidth, tensor::Dtype::kFloat32, 2);
          GuardedBuffer packed(packed_bytes(kWidth, kOddLength, dtype) / tensor::dtype_bytes(dtype), dtype);
          GuardedBuffer transposed(packed_bytes(kOddLength, kWidth, dtype) / tensor::dtype_bytes(dtype), dtype);
          GuardedBuffer dx(kTokens * kWidth, tensor::Dtype::kFloat32), dw(kOddLength * kWidth, tensor::Dtype::kFloat32);
          GuardedBuffer workspace(head_workspace_bytes(shape) / 4, tensor::Dtype::kFloat32);
          pack(w.floats(), kWidth, kOddLength, 1, kWidth, dtype, packed.data());
          pack(w.floats(), kOddLength, kWidth, kWidth, 1, dtype, transposed.data());
          x.set(kWidth + 2, bad);
          const uint16_t targets[] = {0, 5, 36};
          const HeadOptions options{.softcap = softcap};
          double losses[kTokens];
          head_loss(shape, x.data(), packed.data(), options, targets, losses, workspace.data());
          const double loss = losses[0] + losses[1] + losses[2];
          const double same = head_loss_and_gradient(shape, x.data(), packed.data(), transposed.data(), options, 1,
                                                     targets, dx.floats(), dw.floats(), workspace.data());
          // The cap makes infinite logits finite, as it is meant to; the gradient still tells.
          if (std::isnan(bad) || softcap == 0) {
            EXPECT_FALSE(std::isfinite(loss) || std::isfinite(same));
            EXPECT_TRUE(all_nan(dx, kWidth, 2 * kWidth));
          }
          EXPECT_FALSE(all_finite(dw, 0, dw.size()));
          EXPECT_TRUE(all_finite(dx, 0, kWidth) && all_finite(dx, 2 * kWidth, 3 * kWidth));
        }
      }
    }
  });
}

// Where the NaN is: query, key, value, decay, beta, a, b.
TEST(NotANumber, InARecurrenceReachesTheTokensFromThere) {
  static constexpr int64_t kTokens = 41, kKeys = 10, kValues = 9, kAt = 25;
  for_each_target([] {
    for (const Delta delta : {Delta::kNone, Delta::kBeta, Delta::kGiven}) {
      for (const bool channels : {false, true}) {
        if (delta == Delta::kBeta && channels) continue;
        const RecurrenceShape s{.tokens = kTokens,
                                .heads = 1,
                                .key_dim = kKeys,
                                .value_dim = kValues,
                                .channel_decay = channels,
                                .unit_keys = delta == Delta::kBeta,
                                .delta = delta};
        for (int where = 0; where < 7; ++where) {
          if ((where == 4 && delta == Delta::kGiven) || (where > 4 && delta != Delta::kGiven)) continue;
          SCOPED_TRACE(testing::Message() << "delta " << static_cast<int>(delta) << ", place " << where);
          for (tensor::Dtype dtype : kBothDtypes) {
            GuardedBuffer qkv = random_buffer(kTokens * s.qkv_width(), dtype, 1), ab(kTokens * 2 * kKeys, dtype);
            GuardedBuffer decay(kTokens * s.decay_width(), tensor::Dtype::kFloat32),
                beta(kTokens, tensor::Dtype::kFloat32);
            GuardedBuffer states(recurrence_state_elements(s), tensor::Dtype::kFloat32);
            GuardedBuffer workspace(recurrence_workspace_bytes(s) / 4, tensor::Dtype::kFloat32),
                out(kTokens * kValues, dtype);
            ab.randomise(2, 0.1);
            decay.fill(-0.2f);
            beta.fill(0.5f);
            if (where < 3) qkv.set(kAt * s.qkv_width() + where * kKeys, kNan);
            if (where == 3) decay.set(kAt * s.decay_width(), kNan);
            if (where == 4) beta.set(kAt, kNan);
            if (where > 4) ab.set(kAt * 2 * kKeys + (where - 5) * kKeys, kNan);
            recurrence_forward(s, dtype,
                               {.qkv = qkv.data(),
                                .log_decay = decay.floats(),
                                .beta = delta == Delta::kGiven ? nullptr : beta.floats(),
                                .ab = delta == Delta::kGiven ? ab.data() : nullptr},
                               out.data(), states.floats(), workspace.data());
            EXPECT_TRUE(std::isnan(out[kAt * kValues]));
            for (int64_t t = kAt; where > 0 && t < kTokens; ++t) ASSERT_TRUE(std::isnan(out[t * kValues])) << t;
          }
        }
      }
    }
  });
}

TEST(NotANumber, InRwkvsVectorsTakesTheirHead) {
  static constexpr RwkvShape kShape{.tokens = 1, .heads = 2, .key_dim = 19, .value_dim = 7};
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      const int64_t keys = kShape.keys(), values = kShape.values();
      GuardedBuffer receptance = random_buffer(keys, dtype, 1), key = random_buffer(keys, dtype, 2),
                    value = random_buffer(values, dtype, 3), rate = random_buffer(keys, dtype, 4),
                    bias = random_buffer(keys, tensor::Dtype::kFloat32, 5), removal = bias, replacement = bias;
      GuardedBuffer qkv(kShape.qkv_width(), dtype), ab(2 * keys, dtype), y(values, dtype);
      key.set(3, kNan);
      rate.set(30, kNan);
      rwkv_keys_forward(kShape, dtype,
                        {receptance.data(), key.data(), value.data(), rate.data(), bias.floats(), removal.floats(),
                         replacement.floats()},
                        qkv.data(), ab.data());
      EXPECT_TRUE(all_nan(ab, 0, 19) && all_finite(ab, 19, 38) && std::isnan(ab[38 + 30]));
      EXPECT_TRUE(std::isnan(qkv[38 + 3]) && std::isnan(qkv[38 + 30]) && all_finite(qkv, 0, 38));
      GuardedBuffer mixed = random_buffer(values, dtype, 6), gate = random_buffer(values, dtype, 7),
                    gain = random_buffer(values, tensor::Dtype::kFloat32, 8);
      qkv.randomise(9);
      mixed.set(9, kNan);
      rwkv_output_forward(kShape, dtype,
                          {mixed.data(), qkv.data(), gate.data(), gain.floats(), gain.floats(),
                           random_buffer(keys, tensor::Dtype::kFloat32, 1).floats()},
                          y.data());
      EXPECT_TRUE(all_finite(y, 0, 7) && all_nan(y, 7, 14));
    }
  });
}

TEST(NotANumber, IsSeenInSumsStepsAndStreams) {
  for_each_target([] {
    for (const float bad : {kNan, kInfinity}) {
      GuardedBuffer x = random_buffer(kOddLength, tensor::Dtype::kFloat32, 1),
                    w = random_buffer(kOddLength, tensor::Dtype::kFloat32, 2), m1(kOddLength, tensor::Dtype::kFloat32),
                    m2(kOddLength, tensor::Dtype::kFloat32);
      x.set(36, bad);
      EXPECT_FALSE(std::isfinite(sum_of_squares(x.floats(), kOddLength)));
      adamw({.learning_rate = 0.01f,
             .beta1 = 0.9f,
             .beta2 = 0.95f,
             .epsilon = 1e-8f,
             .weight_decay = 0.1f,
             .correction1 = 0.1f,
             .correction2 = 0.05f,
             .gradient_scale = 1},
            x.floats(), w.floats(), m1.floats(), m2.floats(), kOddLength);
      EXPECT_TRUE(std::isnan(w[36]) && all_finite(w, 0, 36));
      GuardedBuffer mixed(2 * kOddLength, tensor::Dtype::kFloat32),
          weights = random_buffer(2, tensor::Dtype::kFloat32, 3);
      mix_streams_forward({.tokens = 1, .width = kOddLength, .streams = 1, .inputs = 1, .outputs = 2}, weights.floats(),
                          x.floats(), nullptr, mixed.floats());
      EXPECT_FALSE(std::isfinite(mixed[36]) || std::isfinite(mixed[kOddLength + 36]));
      GuardedBuffer rows = random_buffer(5 * 5, tensor::Dtype::kFloat32, 4), basis(25, tensor::Dtype::kFloat32),
                    factors(5, tensor::Dtype::kFloat32);
      rows.set(7, bad);
      orthonormal_rows(rows.floats(), 5, basis.floats(), factors.floats());
      EXPECT_FALSE(all_finite(basis, 0, 25));
      const float logits[] = {0.5f, kNan, -1, 2};
      float scores[4], weights_of_chosen[2];
      int32_t choice[2], places[2], first[5];
      route_forward({.tokens = 1, .experts = 4, .active = 2}, logits, nullptr, scores, weights_of_chosen, choice,
                    places, first);
      EXPECT_TRUE(std::isnan(weights_of_chosen[0]) && std::isnan(weights_of_chosen[1]));
    }
  });
}

}  // namespace
}  // namespace flywheel::kernels
