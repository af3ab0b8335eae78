// Gates, value residuals and latent keys against their formulas, on every instruction set.
#include "engine/kernels/heads.h"

#include "engine/kernels/reference/kernel_testing.h"

namespace flywheel::kernels {
namespace {

TEST(Gate, MultipliesByTheSigmoidForwardAndBackward) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (int64_t n : {1, 15, 16, 33, 100}) {
        GuardedBuffer x(n, dtype), gate(n, dtype), dy(n, dtype), y(n, dtype), dx(n, dtype), dgate(n, dtype);
        GuardedBuffer expected_y(n, dtype), expected_dx(n, dtype), expected_dgate(n, dtype);
        x.randomise(1);
        gate.randomise(2, 3);
        dy.randomise(3);
        for (int64_t i = 0; i < n; ++i) {
          const float open = 1 / (1 + std::exp(-gate[i]));
          expected_y.set(i, x[i] * open);
          expected_dx.set(i, dy[i] * open);
          expected_dgate.set(i, dy[i] * x[i] * open * (1 - open));
        }
        gate_forward(x.data(), gate.data(), y.data(), dtype, n);
        gate_backward(x.data(), gate.data(), dy.data(), dx.data(), dgate.data(), dtype, n);
        expect_close(y, expected_y, tolerance(dtype), "y");
        expect_close(dx, expected_dx, tolerance(dtype), "dx");
        expect_close(dgate, expected_dgate, tolerance(dtype), "dgate");
      }
    }
  });
}

TEST(Values, MixWithTheFirstLayersForwardAndBackward) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (const ValueShape& s : {ValueShape{1, 9, 3}, {5, 30, 10}, {4, 96, 32}, {3, 57, 19}}) {
        const float share = 0.3f;
        GuardedBuffer qkv(s.tokens * s.width, dtype), mixed(qkv.size(), dtype), dmixed(qkv.size(), dtype),
            dqkv(qkv.size(), dtype), first(s.tokens * s.values, dtype), dfirst(first.size(), dtype);
        qkv.randomise(1);
        first.randomise(2);
        dmixed.randomise(3);
        GuardedBuffer expected = qkv, expected_dqkv = dmixed, expected_dfirst = dfirst;
        double dshare = 0;
        for (int64_t t = 0; t < s.tokens; ++t) {
          for (int64_t i = 0; i < s.values; ++i) {
            const int64_t at = (t + 1) * s.width - s.values + i, of_first = t * s.values + i;
            expected.set(at, (1 - share) * qkv[at] + share * first[of_first]);
            dshare += double{dmixed[at]} * (first[of_first] - qkv[at]);
            expected_dqkv.set(at, (1 - share) * dmixed[at]);
            expected_dfirst.set(of_first, share * dmixed[at]);
          }
        }
        value_residual_forward(s, dtype, qkv.data(), first.data(), share, mixed.data());
        expect_close(mixed, expected, tolerance(dtype), "mixed");
        const float apart = value_residual_backward(s, dtype, qkv.data(), first.data(), share, dmixed.data(),
                                                    dqkv.data(), dfirst.data());
        EXPECT_NEAR(apart, dshare, 1e-4 * (1 + std::abs(dshare)));
        expect_close(dqkv, expected_dqkv, tolerance(dtype), "dqkv");
        expect_close(dfirst, expected_dfirst, tolerance(dtype), "dfirst");
        EXPECT_EQ(value_residual_backward(s, dtype, qkv.data(), first.data(), share, dmixed.data(), dmixed.data(),
                                          dfirst.data()),
                  apart);
        expect_close(dmixed, expected_dqkv, tolerance(dtype), "dqkv in place");
        // Reading the values out and putting them back.
        GuardedBuffer read(first.size(), dtype);
        values_forward(s, dtype, qkv.data(), read.data());
        values_backward(s, dtype, read.data(), dqkv.data());
        for (int64_t i = 0; i < qkv.size(); ++i) {
          ASSERT_EQ(dqkv[i], i % s.width < s.width - s.values ? 0.0f : qkv[i]) << i;
        }
      }
    }
  });
}

TEST(LatentQkv, PutsEachHeadsKeyTogetherAndSumsTheSharedPartsGradient) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (const LatentShape& s : {LatentShape{1, 1, 4, 2}, {3, 3, 6, 2}, {5, 2, 40, 18}, {2, 4, 7, 0}}) {
        const int64_t width = int64_t{s.heads} * s.head_dim, content = s.head_dim - s.rotary;
        GuardedBuffer query(s.tokens * width, dtype), rotary_key(s.tokens * s.rotary, dtype),
            expanded(s.tokens * (s.heads * content + width), dtype), qkv(3 * query.size(), dtype);
        query.randomise(1);
        rotary_key.randomise(2);
        expanded.randomise(3);
        GuardedBuffer dquery = query, drotary_key = rotary_key, dexpanded = expanded, expected_drotary = rotary_key;
        latent_qkv_forward(s, dtype, query.data(), rotary_key.data(), expanded.data(), qkv.data());
        for (int64_t t = 0; t < s.tokens; ++t) {
          for (int64_t i = 0; i < width; ++i) {
            const int64_t row = t * 3 * width, head = i / s.head_dim, place = i % s.head_dim;
            const int64_t of_expanded = t * (s.heads * content + width);
            EXPECT_EQ(qkv[row + i], query[t * width + i]);
            EXPECT_EQ(qkv[row + width + i], place < s.rotary
                                                ? rotary_key[t * s.rotary + place]
                                                : expanded[of_expanded + head * content + place - s.rotary]);
            EXPECT_EQ(qkv[row + 2 * width + i], expanded[of_expanded + s.heads * content + i]);
          }
        }
        for (int64_t i = 0; i < rotary_key.size(); ++i) {
          expected_drotary.set(i, rotary_key[i] * static_cast<float>(s.heads));  // the gradient is qkv itself here
        }
        latent_qkv_backward(s, dtype, qkv.data(), dquery.data(), drotary_key.data(), dexpanded.data());
        expect_close(dquery, query, 0, "dquery");
        expect_close(dexpanded, expanded, 0, "dexpanded");
        expect_close(drotary_key, expected_drotary, tolerance(dtype), "drotary_key");
      }
    }
  });
}

}  // namespace
}  // namespace flywheel::kernels
