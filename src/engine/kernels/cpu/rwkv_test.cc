// RWKV-7's token shift, keys and output against their formulas in float64, and numeric derivatives.
#include "engine/kernels/rwkv.h"

#include "engine/kernels/recurrence.h"
#include "engine/kernels/reference/kernel_testing.h"

namespace flywheel::kernels {
namespace {

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

struct Streams {
  std::vector<GuardedBuffer> buffers;
  std::vector<void*> pointers;
  Streams(int64_t n, tensor::Dtype dtype) {
    for (int64_t i = 0; i < kShifts; ++i) buffers.emplace_back(n, dtype).randomise(static_cast<uint64_t>(10 + i));
    for (GuardedBuffer& buffer : buffers) pointers.push_back(buffer.data());
  }
};

TEST(TokenShift, MixesEveryTokenWithTheOneBeforeOnEveryTarget) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      constexpr int64_t kTokens = 4, kWidth = 21;
      GuardedBuffer h(kTokens * kWidth, dtype), before(kWidth, dtype),
          shares(kShifts * kWidth, tensor::Dtype::kFloat32);
      h.randomise(1);
      before.randomise(2);
      shares.randomise(3);
      for (const void* earlier : {static_cast<const void*>(before.data()), static_cast<const void*>(nullptr)}) {
        Streams streams(h.size(), dtype);
        token_shift_forward(kTokens, kWidth, dtype, h.data(), earlier, shares.floats(), streams.pointers.data());
        for (int64_t i = 0; i < kShifts; ++i) {
          GuardedBuffer expected(h.size(), dtype);
          for (int64_t at = 0; at < h.size(); ++at) {
            const double first = earlier ? before[at % kWidth] : 0.0, last = at < kWidth ? first : h[at - kWidth];
            expected.set(at, static_cast<float>(h[at] + (last - h[at]) * shares[i * kWidth + at % kWidth]));
          }
          expect_close(streams.buffers[static_cast<size_t>(i)], expected, tolerance(dtype), "stream");
        }
      }
    }
  });
}

TEST(TokenShift, BackwardIsTheDerivativeOfForward) {
  constexpr int64_t kTokens = 3, kWidth = 5;
  GuardedBuffer h(kTokens * kWidth, tensor::Dtype::kFloat32), shares(kShifts * kWidth, tensor::Dtype::kFloat32),
      dh = h, dshares = shares;
  h.randomise(1);
  shares.randomise(2);
  Streams directions(h.size(), tensor::Dtype::kFloat32), streams(h.size(), tensor::Dtype::kFloat32);
  directions.pointers[4] = nullptr;  // a stream that nobody reads
  token_shift_backward(kTokens, kWidth, tensor::Dtype::kFloat32, h.data(), shares.floats(), directions.pointers.data(),
                       dh.data(), dshares.floats());
  const auto loss = [&] {
    token_shift_forward(kTokens, kWidth, tensor::Dtype::kFloat32, h.data(), nullptr, shares.floats(),
                        streams.pointers.data());
    double sum = 0;
    for (size_t i : {0, 1, 2, 3, 5}) sum += project(streams.buffers[i], directions.buffers[i]);
    return sum;
  };
  expect_gradient(loss, h, dh);
  expect_gradient(loss, shares, dshares);
}

TEST(Squash, IsItsFunctionAndItsSlope) {
  for_each_target([] {
    for (Squash kind : {Squash::kTanh, Squash::kSigmoid}) {
      for (tensor::Dtype dtype : kBothDtypes) {
        GuardedBuffer x(37, dtype), y = x, dy = x, dx = x, expected = x, slope = x;
        x.randomise(1, 3);
        dy.randomise(2);
        squash_forward(kind, dtype, x.data(), y.data(), x.size());
        squash_backward(kind, dtype, y.data(), dy.data(), dx.data(), x.size());
        for (int64_t i = 0; i < x.size(); ++i) {
          expected.set(i, static_cast<float>(kind == Squash::kTanh ? std::tanh(x[i]) : sigmoid(x[i])));
          slope.set(i, dy[i] * (kind == Squash::kTanh ? 1 - y[i] * y[i] : y[i] - y[i] * y[i]));
        }
        expect_close(y, expected, tolerance(dtype), "y");
        expect_close(dx, slope, tolerance(dtype), "dx");
      }
    }
  });
}

constexpr RwkvShape kShape{.tokens = 3, .heads = 2, .key_dim = 19, .value_dim = 7};

struct Heads {
  tensor::Dtype dtype;
  RwkvShape s;
  GuardedBuffer receptance, key, value, rate, rate_bias, removal, replacement, qkv, ab;
  GuardedBuffer mixed, gate, gain, bias, bonus, y;
  Heads(const RwkvShape& shape, tensor::Dtype d)
      : dtype(d),
        s(shape),
        receptance(s.tokens * s.keys(), d),
        key(receptance),
        value(s.tokens * s.values(), d),
        rate(receptance),
        rate_bias(s.keys(), tensor::Dtype::kFloat32),
        removal(rate_bias),
        replacement(rate_bias),
        qkv(s.tokens * s.qkv_width(), d),
        ab(s.tokens * 2 * s.keys(), d),
        mixed(value),
        gate(value),
        gain(s.values(), tensor::Dtype::kFloat32),
        bias(gain),
        bonus(rate_bias),
        y(value) {
    uint64_t seed = 1;
    for (GuardedBuffer* buffer : {&receptance, &key, &value, &rate, &rate_bias, &removal, &replacement, &qkv, &mixed,
                                  &gate, &gain, &bias, &bonus})
      buffer->randomise(seed++);
  }
  RwkvKeys keys() {
    return {.receptance = receptance.data(),
            .key = key.data(),
            .value = value.data(),
            .rate = rate.data(),
            .rate_bias = rate_bias.floats(),
            .removal = removal.floats(),
            .replacement = replacement.floats()};
  }
  RwkvOutput output() {
    return {.mixed = mixed.data(),
            .qkv = qkv.data(),
            .gate = gate.data(),
            .gain = gain.floats(),
            .bias = bias.floats(),
            .bonus = bonus.floats()};
  }
  void make_keys() { rwkv_keys_forward(s, dtype, keys(), qkv.data(), ab.data()); }
  void make_output() { rwkv_output_forward(s, dtype, output(), y.data()); }
};

TEST(RwkvKeys, AreTheirFormulaOnEveryTarget) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      Heads h(kShape, dtype);
      h.make_keys();
      const RwkvShape& s = h.s;
      GuardedBuffer qkv(h.qkv.size(), dtype), ab(h.ab.size(), dtype);
      for (int64_t t = 0; t < s.tokens; ++t) {
        for (int64_t c = 0; c < s.keys(); ++c) {
          const int64_t head = c / s.key_dim * s.key_dim, at = t * s.keys() + c;
          double squares = kUnitEpsilon;
          for (int64_t i = head; i < head + s.key_dim; ++i) {
            const double u = h.key[t * s.keys() + i] * double{h.removal[i]};
            squares += u * u;
          }
          const double u = h.key[at] * double{h.removal[c]} / std::sqrt(squares);
          const double r = sigmoid(double{h.rate[at]} + h.rate_bias[c]);
          qkv.set(t * s.qkv_width() + c, h.receptance[at]);
          qkv.set(t * s.qkv_width() + s.keys() + c, static_cast<float>(h.key[at] * (1 + (r - 1) * h.replacement[c])));
          ab.set(t * 2 * s.keys() + c, static_cast<float>(-u));
          ab.set(t * 2 * s.keys() + s.keys() + c, static_cast<float>(u * r));
        }
        for (int64_t v = 0; v < s.values(); ++v)
          qkv.set(t * s.qkv_width() + 2 * s.keys() + v, h.value[t * s.values() + v]);
      }
      expect_close(h.qkv, qkv, tolerance(dtype), "qkv");
      expect_close(h.ab, ab, tolerance(dtype), "ab");
    }
  });
}

TEST(RwkvKeys, BackwardIsTheDerivativeOfForward) {
  Heads h({.tokens = 2, .heads = 2, .key_dim = 3, .value_dim = 4}, tensor::Dtype::kFloat32);
  GuardedBuffer dqkv = h.qkv, dab = h.ab;
  dqkv.randomise(20);
  dab.randomise(21);
  GuardedBuffer dreceptance = h.receptance, dkey = h.key, dvalue = h.value, drate = h.rate;
  GuardedBuffer dbias(h.rate_bias.size(), tensor::Dtype::kFloat32), dremoval = dbias, dreplacement = dbias;
  rwkv_keys_backward(h.s, h.dtype, h.keys(), dqkv.data(), dab.data(),
                     {.receptance = dreceptance.data(),
                      .key = dkey.data(),
                      .value = dvalue.data(),
                      .rate = drate.data(),
                      .rate_bias = dbias.floats(),
                      .removal = dremoval.floats(),
                      .replacement = dreplacement.floats()});
  const auto loss = [&] {
    h.make_keys();
    return project(h.qkv, dqkv) + project(h.ab, dab);
  };
  expect_gradient(loss, h.receptance, dreceptance);
  expect_gradient(loss, h.key, dkey);
  expect_gradient(loss, h.value, dvalue);
  expect_gradient(loss, h.rate, drate);
  expect_gradient(loss, h.rate_bias, dbias);
  expect_gradient(loss, h.removal, dremoval);
  expect_gradient(loss, h.replacement, dreplacement);
}

TEST(RwkvOutput, IsItsFormulaOnEveryTarget) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      Heads h(kShape, dtype);
      h.make_output();
      const RwkvShape& s = h.s;
      GuardedBuffer expected(h.y.size(), dtype);
      for (int64_t t = 0; t < s.tokens; ++t) {
        const int64_t row = t * s.qkv_width();
        for (int64_t head = 0; head < s.heads; ++head) {
          double mean = 0, squares = 0, bonus = 0;
          const int64_t first = t * s.values() + head * s.value_dim;
          for (int64_t i = 0; i < s.value_dim; ++i) mean += double{h.mixed[first + i]} / s.value_dim;
          for (int64_t i = 0; i < s.value_dim; ++i) squares += std::pow(h.mixed[first + i] - mean, 2) / s.value_dim;
          for (int64_t c = head * s.key_dim; c < (head + 1) * s.key_dim; ++c)
            bonus += double{h.qkv[row + c]} * h.qkv[row + s.keys() + c] * h.bonus[c];
          for (int64_t i = 0; i < s.value_dim; ++i) {
            const int64_t c = head * s.value_dim + i;
            const double normal = (h.mixed[first + i] - mean) / std::sqrt(squares + kRwkvNormEpsilon);
            const double sum = normal * h.gain[c] + h.bias[c] + bonus * h.qkv[row + 2 * s.keys() + c];
            expected.set(first + i, static_cast<float>(sum * h.gate[first + i]));
          }
        }
      }
      expect_close(h.y, expected, tolerance(dtype), "y");
    }
  });
}

TEST(RwkvOutput, BackwardIsTheDerivativeOfForward) {
  Heads h({.tokens = 2, .heads = 2, .key_dim = 3, .value_dim = 5}, tensor::Dtype::kFloat32);
  GuardedBuffer dy = h.y;
  dy.randomise(30);
  GuardedBuffer dmixed = h.mixed, dqkv = h.qkv, dgate = h.gate;
  GuardedBuffer dgain(h.gain.size(), tensor::Dtype::kFloat32), dbias = dgain,
                                                               dbonus(h.bonus.size(), tensor::Dtype::kFloat32);
  rwkv_output_backward(h.s, h.dtype, h.output(), dy.data(),
                       {.mixed = dmixed.data(),
                        .qkv = dqkv.data(),
                        .gate = dgate.data(),
                        .gain = dgain.floats(),
                        .bias = dbias.floats(),
                        .bonus = dbonus.floats()});
  const auto loss = [&] {
    h.make_output();
    return project(h.y, dy);
  };
  expect_gradient(loss, h.mixed, dmixed);
  expect_gradient(loss, h.qkv, dqkv);
  expect_gradient(loss, h.gate, dgate);
  expect_gradient(loss, h.gain, dgain);
  expect_gradient(loss, h.bias, dbias);
  expect_gradient(loss, h.bonus, dbonus);
}

}  // namespace
}  // namespace flywheel::kernels
