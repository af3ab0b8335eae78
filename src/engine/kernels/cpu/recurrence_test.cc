// The recurrence in chunks against its float64 reference, token by token against chunks, and its decays at the
// extremes.
#include "engine/kernels/recurrence.h"

#include "engine/kernels/reference/kernel_testing.h"
#include "engine/kernels/reference/reference.h"

namespace flywheel::kernels {
namespace {

struct Case {
  const char* name;
  RecurrenceShape shape;
  bool beta = false, skip = false;
  float decay = 0.3f;  // typical -log w
};

RecurrenceShape shape_of(int64_t tokens, int heads, int key_dim, int value_dim) {
  return {.tokens = tokens, .heads = heads, .key_dim = key_dim, .value_dim = value_dim, .query_scale = 0.7f};
}

// The mixers' uses, at sizes that are no multiple of anything; the last ones with decays that end chunks early.
std::vector<Case> cases() {
  std::vector<Case> list;
  constexpr int kSizes[][4] = {{1, 1, 8, 8},   {5, 2, 6, 6},    {33, 2, 16, 16}, {70, 1, 32, 20},
                               {64, 2, 5, 32}, {97, 1, 64, 64}, {40, 1, 100, 7}, {31, 1, 128, 128}};
  for (const auto& [tokens, heads, keys, values] : kSizes) {
    for (float decay : {0.3f, 9.0f}) {
      if (decay > 1 && keys * values > 2000) continue;  // short chunks of large heads only take time
      RecurrenceShape s = shape_of(tokens, heads, keys, values);
      s.channel_decay = true;
      list.push_back({"gated linear", s, false, false, decay});
      s.delta = Delta::kGiven;
      list.push_back({"general delta", s, false, false, decay});
      s = shape_of(tokens, heads, keys, values);
      s.shared_keys = true;
      list.push_back({"shared keys", s, true, true, decay});
      s = shape_of(tokens, heads, keys, values);
      s.delta = Delta::kBeta;
      s.unit_keys = true;
      list.push_back({"gated delta", s, true, false, decay});
    }
  }
  return list;
}

struct Buffers {
  RecurrenceShape s;
  tensor::Dtype dtype;
  GuardedBuffer qkv, log_decay, beta, ab, skip, out, dout, dqkv, dlog_decay, dbeta, dab, dskip, states, workspace;
  bool has_beta, has_skip;
  Buffers(const Case& c, tensor::Dtype d)
      : s(c.shape),
        dtype(d),
        qkv(s.tokens * s.qkv_width(), d),
        log_decay(s.tokens * s.decay_width(), tensor::Dtype::kFloat32),
        beta(s.tokens * s.heads, tensor::Dtype::kFloat32),
        ab(s.tokens * 2 * s.heads * s.key_dim, d),
        skip(s.heads, tensor::Dtype::kFloat32),
        out(s.tokens * s.heads * s.value_dim, d),
        dout(out.size(), d),
        dqkv(qkv.size(), d),
        dlog_decay(log_decay.size(), tensor::Dtype::kFloat32),
        dbeta(beta.size(), tensor::Dtype::kFloat32),
        dab(ab.size(), d),
        dskip(skip.size(), tensor::Dtype::kFloat32),
        states(recurrence_state_elements(s), tensor::Dtype::kFloat32),
        workspace(recurrence_workspace_bytes(s) / 4, tensor::Dtype::kFloat32),
        has_beta(c.beta),
        has_skip(c.skip) {
    qkv.randomise(1);
    dout.randomise(2);
    // Vectors of about unit length: the products of a delta rule then neither vanish nor explode.
    ab.randomise(3, 0.5 / std::sqrt(static_cast<double>(s.key_dim)));
    skip.randomise(4);
    Rng rng(5);
    for (int64_t i = 0; i < log_decay.size(); ++i)
      log_decay.set(i, -c.decay * static_cast<float>(std::abs(rng.normal())));
    for (int64_t i = 0; i < beta.size(); ++i) beta.set(i, static_cast<float>(rng.uniform()));
    workspace.fill(std::nanf(""));  // whatever is read must have been written
    states.fill(std::nanf(""));
  }
  RecurrenceInputs inputs() {
    return {.qkv = qkv.data(),
            .log_decay = log_decay.floats(),
            .beta = has_beta ? beta.floats() : nullptr,
            .ab = s.delta == Delta::kGiven ? ab.data() : nullptr,
            .skip = has_skip ? skip.floats() : nullptr};
  }
  RecurrenceGradients gradients() {
    return {.qkv = dqkv.data(),
            .log_decay = dlog_decay.floats(),
            .beta = has_beta ? dbeta.floats() : nullptr,
            .ab = s.delta == Delta::kGiven ? dab.data() : nullptr,
            .skip = has_skip ? dskip.floats() : nullptr};
  }
  void forward() { recurrence_forward(s, dtype, inputs(), out.data(), states.floats(), workspace.data()); }
  void backward() {
    recurrence_backward(s, dtype, inputs(), states.floats(), dout.data(), gradients(), workspace.data());
  }
};

void expect_reference(const Case& c, tensor::Dtype dtype) {
  Buffers expected(c, dtype);
  reference::recurrence_forward(expected.s, dtype, expected.inputs(), expected.out.data());
  reference::recurrence_backward(expected.s, dtype, expected.inputs(), expected.dout.data(), expected.gradients());
  for_each_target([&] {
    Buffers actual(c, dtype);
    actual.forward();
    actual.backward();
    // Inside all is float32: bfloat16 only rounds results. Sums over up to a hundred tokens back and forth.
    const double limit = dtype == tensor::Dtype::kFloat32 ? 1e-4 : 0.01;
    expect_close(actual.out, expected.out, limit, "out");
    expect_close(actual.dqkv, expected.dqkv, limit, "dqkv");
    // The gradient of a decay is what is left of sums that cancel, wholly so at the first token.
    if (c.shape.tokens > 1) expect_close(actual.dlog_decay, expected.dlog_decay, 2e-4, "dlog_decay");
    expect_close(actual.dbeta, expected.dbeta, 2e-4, "dbeta");
    expect_close(actual.dab, expected.dab, limit, "dab");
    expect_close(actual.dskip, expected.dskip, 1e-4, "dskip");
    EXPECT_TRUE(actual.states.guards_intact() && actual.workspace.guards_intact());
  });
}

TEST(Recurrence, AgreesWithReferenceForwardAndBackward) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(testing::Message() << c.name << ": " << c.shape.tokens << " tokens, " << c.shape.heads << " heads of "
                                    << c.shape.key_dim << " x " << c.shape.value_dim << ", decay " << c.decay);
    for (tensor::Dtype dtype : kBothDtypes) expect_reference(c, dtype);
  }
}

TEST(Recurrence, ReferenceBackwardIsTheDerivativeOfForward) {
  for (const Case& c : cases()) {
    if (c.shape.tokens != 5 || c.decay > 1) continue;
    SCOPED_TRACE(c.name);
    Buffers b(c, tensor::Dtype::kFloat32);
    reference::recurrence_backward(b.s, b.dtype, b.inputs(), b.dout.data(), b.gradients());
    const auto loss = [&] {
      reference::recurrence_forward(b.s, b.dtype, b.inputs(), b.out.data());
      return project(b.out, b.dout);
    };
    expect_gradient(loss, b.qkv, b.dqkv);
    expect_gradient(loss, b.log_decay, b.dlog_decay);
    if (c.beta) expect_gradient(loss, b.beta, b.dbeta);
    if (c.skip) expect_gradient(loss, b.skip, b.dskip);
    if (c.shape.delta == Delta::kGiven) expect_gradient(loss, b.ab, b.dab);
  }
}

TEST(Recurrence, TokenByTokenGivesTheNumbersOfChunks) {
  for (const Case& c : cases()) {
    for (tensor::Dtype dtype : kBothDtypes) {
      SCOPED_TRACE(c.name);
      Buffers b(c, dtype);
      b.forward();
      std::vector<float> state(static_cast<size_t>(b.s.heads * b.s.key_dim * b.s.value_dim), 0.0f);
      GuardedBuffer stepped(b.out.size(), dtype);
      RecurrenceShape one = b.s;
      one.tokens = 1;
      for (int64_t t = 0; t < b.s.tokens; ++t) {
        const RecurrenceInputs all = b.inputs();
        const RecurrenceInputs in{
            .qkv = element_address(all.qkv, dtype, t * b.s.qkv_width()),
            .log_decay = all.log_decay + t * b.s.decay_width(),
            .beta = all.beta ? all.beta + t * b.s.heads : nullptr,
            .ab = all.ab ? element_address(all.ab, dtype, t * 2 * b.s.heads * b.s.key_dim) : nullptr,
            .skip = all.skip};
        recurrence_step(one, dtype, in, state.data(),
                        element_address(stepped.data(), dtype, t * b.s.heads * b.s.value_dim));
      }
      expect_close(stepped, b.out, dtype == tensor::Dtype::kFloat32 ? 1e-4 : 0.01, "out");
    }
  }
}

TEST(Recurrence, AnyDecayGivesFiniteNumbers) {
  for (Case c : cases()) {
    for (float decay : {0.0f, 1e-30f, 100.0f, 1e30f}) {
      SCOPED_TRACE(testing::Message() << c.name << ", " << c.shape.tokens << " tokens, decay " << decay);
      c.decay = decay;
      Buffers b(c, tensor::Dtype::kFloat32);
      b.forward();
      b.backward();
      for (int64_t i = 0; i < b.out.size(); ++i) ASSERT_TRUE(std::isfinite(b.out[i])) << i;
      for (int64_t i = 0; i < b.dqkv.size(); ++i) ASSERT_TRUE(std::isfinite(b.dqkv[i])) << i;
      for (int64_t i = 0; i < b.dlog_decay.size(); ++i) ASSERT_TRUE(std::isfinite(b.dlog_decay[i]));
    }
  }
}

}  // namespace
}  // namespace flywheel::kernels
