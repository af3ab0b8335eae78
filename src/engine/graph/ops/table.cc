// The table of all ops: one line each.
#include <array>

#include "engine/graph/op.h"
#include "engine/graph/ops/activation.h"
#include "engine/graph/ops/add.h"
#include "engine/graph/ops/attention.h"
#include "engine/graph/ops/convert.h"
#include "engine/graph/ops/dynamic_tanh.h"
#include "engine/graph/ops/embedding.h"
#include "engine/graph/ops/forget.h"
#include "engine/graph/ops/gated.h"
#include "engine/graph/ops/gated_norm.h"
#include "engine/graph/ops/grouped_linear.h"
#include "engine/graph/ops/head.h"
#include "engine/graph/ops/latent.h"
#include "engine/graph/ops/linear.h"
#include "engine/graph/ops/mix_streams.h"
#include "engine/graph/ops/ngram_embedding.h"
#include "engine/graph/ops/norm.h"
#include "engine/graph/ops/qk_prepare.h"
#include "engine/graph/ops/recurrence.h"
#include "engine/graph/ops/route.h"
#include "engine/graph/ops/rwkv.h"
#include "engine/graph/ops/scale.h"
#include "engine/graph/ops/short_convolution.h"
#include "engine/graph/ops/sigmoid_gate.h"
#include "engine/graph/ops/split.h"
#include "engine/graph/ops/value_lerp.h"
#include "engine/graph/ops/value_residual.h"

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
