// The table of all ops: one line each.
#include <array>

#include "graph/op.h"
#include "graph/ops/activation.h"
#include "graph/ops/add.h"
#include "graph/ops/attention.h"
#include "graph/ops/convert.h"
#include "graph/ops/dynamic_tanh.h"
#include "graph/ops/embedding.h"
#include "graph/ops/forget.h"
#include "graph/ops/gated.h"
#include "graph/ops/gated_norm.h"
#include "graph/ops/grouped_linear.h"
#include "graph/ops/head.h"
#include "graph/ops/latent.h"
#include "graph/ops/linear.h"
#include "graph/ops/mix_streams.h"
#include "graph/ops/ngram_embedding.h"
#include "graph/ops/norm.h"
#include "graph/ops/qk_prepare.h"
#include "graph/ops/recurrence.h"
#include "graph/ops/route.h"
#include "graph/ops/rwkv.h"
#include "graph/ops/scale.h"
#include "graph/ops/short_convolution.h"
#include "graph/ops/sigmoid_gate.h"
#include "graph/ops/split.h"
#include "graph/ops/value_lerp.h"
#include "graph/ops/value_residual.h"

namespace flywheel::graph {
namespace {

// clang-format off: a line is an op with its backward.
constexpr std::array kOps = {
    &kEmbedding,
    &kEmbeddingBackward,
    &kNgramEmbedding,
    &kNgramEmbeddingBackward,
    &kNorm,
    &kNormBackward,
    &kDynamicTanh,
    &kDynamicTanhBackward,
    &kLinear,
    &kLinearWeightGradient,
    &kQkPrepare,
    &kQkPrepareBackward,
    &kValues,
    &kValuesBackward,
    &kValueResidual,
    &kValueResidualBackward,
    &kLatentQkv,
    &kLatentQkvBackward,
    &kAttention,
    &kAttentionBackward,
    &kAttentionCached,
    &kLatentAttentionCached,
    &kSigmoidGate,
    &kSigmoidGateBackward,
    &kSplit,
    &kJoin,
    &kShortConvolution,
    &kShortConvolutionBackward,
    &kShortConvolutionStep,
    &kTokenShift,
    &kTokenShiftBackward,
    &kTokenShiftStep,
    &kSquash,
    &kSquashBackward,
    &kRwkvKeys,
    &kRwkvKeysBackward,
    &kRwkvOutput,
    &kRwkvOutputBackward,
    &kValueLerp,
    &kValueLerpBackward,
    &kForget,
    &kForgetBackward,
    &kRecurrence,
    &kRecurrenceBackward,
    &kRecurrenceStep,
    &kGatedNorm,
    &kGatedNormBackward,
    &kActivation,
    &kActivationBackward,
    &kGated,
    &kGatedBackward,
    &kRoute,
    &kRouteBackward,
    &kSpread,
    &kGather,
    &kGroupedLinear,
    &kGroupedLinearWeightGradient,
    &kCombine,
    &kCombineBackward,
    &kAdd,
    &kScale,
    &kScaleChannels,
    &kScaleChannelsBackward,
    &kMixStreams,
    &kMixStreamsBackward,
    &kConvert,
    &kHeadLoss,
    &kHeadTrain,
    &kHeadLogits,
};
// clang-format on

}  // namespace

std::span<const Op* const> all_ops() {
  return kOps;
}

}  // namespace flywheel::graph
