// Sequences of no tokens: nothing is written, nothing added, nothing read past an end.
#include "engine/kernels/attention.h"
#include "engine/kernels/cross_entropy.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/experts.h"
#include "engine/kernels/gates.h"
#include "engine/kernels/heads.h"
#include "engine/kernels/ngrams.h"
#include "engine/kernels/norm.h"
#include "engine/kernels/recurrence.h"
#include "engine/kernels/reference/kernel_testing.h"
#include "engine/kernels/rwkv.h"
#include "engine/kernels/short_convolution.h"
#include "engine/kernels/streams.h"

namespace flywheel::kernels {
namespace {

// Buffers of no elements between guards, and one of parameters whose gradients must stay as they are.
struct Nothing {
  tensor::Dtype dtype;
  GuardedBuffer activations, floats, parameters, gradients;
  explicit Nothing(tensor::Dtype d)
      : dtype(d),
        activations(0, d),
        floats(0, tensor::Dtype::kFloat32),
        parameters(64, tensor::Dtype::kFloat32),
        gradients(parameters) {
    parameters.randomise(1);
    gradients.fill(2);
  }
  void* x() { return activations.data(); }
  float* f() { return floats.floats(); }
  float* p() { return parameters.floats(); }
  float* d() { return gradients.floats(); }
  void expect_untouched() const {
    EXPECT_TRUE(activations.guards_intact() && floats.guards_intact() && gradients.guards_intact());
    for (int64_t i = 0; i < gradients.size(); ++i) ASSERT_EQ(gradients[i], 2) << i;
  }
};

TEST(NoTokens, AttentionWritesNothing) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (const int64_t window : {0, 3}) {
        Nothing n(dtype);
        const AttentionShape shape{.heads = 2,
                                   .kv_heads = 1,
                                   .head_dim = 6,
                                   .qkv_stride = 24,
                                   .out_stride = 12,
                                   .scale = 1,
                                   .window = window,
                                   .sinks = n.p()};
        GuardedBuffer workspace(attention_workspace_bytes(shape, dtype) / 4, tensor::Dtype::kFloat32);
        attention_forward(shape, dtype, n.x(), n.x(), n.f(), workspace.data());
        attention_backward(shape, dtype, n.x(), n.x(), n.x(), n.f(), n.x(), n.d(), workspace.data());
        const QkShape qk{
            .stride = 24, .vectors = 3, .head_dim = 6, .qk_norm = true, .rotary = 6, .cosines = n.f(), .sines = n.f()};
        qk_prepare_forward(qk, dtype, n.x(), n.f());
        qk_prepare_backward(qk, dtype, n.x(), n.f(), n.x());
        n.expect_untouched();
        EXPECT_TRUE(workspace.guards_intact());
      }
    }
  });
}

TEST(NoTokens, RecurrencesWriteNothing) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      for (const Delta delta : {Delta::kNone, Delta::kBeta, Delta::kGiven}) {
        Nothing n(dtype);
        const RecurrenceShape shape{
            .heads = 1, .key_dim = 5, .value_dim = 7, .channel_decay = delta == Delta::kGiven, .delta = delta};
        GuardedBuffer workspace(recurrence_workspace_bytes(shape) / 4, tensor::Dtype::kFloat32);
        GuardedBuffer states(recurrence_state_elements(shape), tensor::Dtype::kFloat32);
        const RecurrenceInputs in{.qkv = n.x(),
                                  .log_decay = n.f(),
                                  .beta = delta == Delta::kGiven ? nullptr : n.f(),
                                  .ab = delta == Delta::kGiven ? n.x() : nullptr,
                                  .skip = n.p()};
        recurrence_forward(shape, dtype, in, n.x(), states.floats(), workspace.data());
        recurrence_backward(shape, dtype, in, states.floats(), n.x(),
                            {.qkv = n.x(),
                             .log_decay = n.f(),
                             .beta = in.beta ? n.f() : nullptr,
                             .ab = in.ab ? n.x() : nullptr,
                             .skip = n.d()},
                            workspace.data());
        n.expect_untouched();
        EXPECT_TRUE(workspace.guards_intact() && states.guards_intact());
      }
      Nothing n(dtype);
      void* streams[kShifts];
      const void* dstreams[kShifts];
      for (int64_t i = 0; i < kShifts; ++i) dstreams[i] = streams[i] = n.x();
      token_shift_forward(0, 9, dtype, n.x(), nullptr, n.p(), streams);
      token_shift_backward(0, 9, dtype, n.x(), n.p(), dstreams, n.x(), n.d());
      short_convolution_forward({0, 9, 3}, dtype, n.x(), n.p(), n.x());
      short_convolution_backward({0, 9, 3}, dtype, n.x(), n.p(), n.x(), n.x(), n.d(), n.f());
      n.expect_untouched();
    }
  });
}

TEST(NoTokens, NormsGatesAndMovesWriteNothing) {
  for_each_target([] {
    for (tensor::Dtype dtype : kBothDtypes) {
      Nothing n(dtype);
      const uint16_t* tokens = nullptr;
      const int32_t* places = nullptr;
      norm_forward(true, n.f(), n.p(), n.p(), 0, 9, n.x(), dtype, n.f());
      norm_backward(true, n.f(), n.p(), n.f(), n.x(), dtype, 0, 9, n.f(), n.d(), n.d());
      dynamic_tanh_forward(n.f(), 1, n.p(), n.p(), 0, 9, n.x(), dtype);
      dynamic_tanh_backward(n.f(), 1, n.p(), n.x(), dtype, 0, 9, n.f(), n.d(), n.d(), n.d());
      gated_norm_forward({.groups = 2, .group_width = 5}, dtype, n.x(), n.x(), n.p(), n.x());
      gated_norm_backward({.groups = 2, .group_width = 5}, dtype, n.x(), n.x(), n.p(), n.x(), n.x(), n.x(), n.d());
      for (const Forget kind : {Forget::kRoot, Forget::kStep, Forget::kDelta, Forget::kSigmoid}) {
        forget_forward({.kind = kind, .width = 9}, dtype, n.x(), n.p(), n.p(), n.f(), n.f());
        forget_backward({.kind = kind, .width = 9}, dtype, n.x(), n.p(), n.p(), n.f(), n.f(), n.x(), n.d(), n.d());
      }
      value_residual_forward({0, 9, 3}, dtype, n.x(), n.x(), 0.5f, n.x());
      EXPECT_EQ(value_residual_backward({0, 9, 3}, dtype, n.x(), n.x(), 0.5f, n.x(), n.x(), n.x()), 0);
      embedding_forward(tokens, n.p(), n.p(), 0, 9, n.f());
      embedding_backward(tokens, n.f(), 0, 9, n.d(), n.d());
      ngram_forward(tokens, 2, n.p(), 4, 0, 9, n.f());
      ngram_backward(tokens, 2, n.f(), 4, 0, 9, n.d());
      spread_rows(n.x(), places, 0, 2, 9, dtype, n.x());
      gather_rows(n.x(), places, 0, 2, 9, dtype, n.x());
      combine_forward(n.f(), n.f(), places, 0, 2, 9, n.f());
      mix_streams_forward({.width = 9, .streams = 2, .inputs = 2, .outputs = 2}, n.p(), n.f(), nullptr, n.f());
      scale_channels_backward(n.f(), n.p(), n.f(), 0, 9, n.f(), n.d());
      n.expect_untouched();
    }
  });
}

TEST(NoTokens, RoutingGivesNoExpertARow) {
  int32_t first[4] = {9, 9, 9, 9};
  route_forward({.experts = 3, .active = 2}, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, first);
  EXPECT_THAT(first, testing::Each(0));
}

}  // namespace
}  // namespace flywheel::kernels
