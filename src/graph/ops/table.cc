// The table of all ops: one line each.
#include <array>

#include "graph/op.h"
#include "graph/ops/activation.h"
#include "graph/ops/add.h"
#include "graph/ops/attention.h"
#include "graph/ops/convert.h"
#include "graph/ops/embedding.h"
#include "graph/ops/forget.h"
#include "graph/ops/gate.h"
#include "graph/ops/gated_norm.h"
#include "graph/ops/head.h"
#include "graph/ops/latent.h"
#include "graph/ops/linear.h"
#include "graph/ops/norm.h"
#include "graph/ops/qk_prepare.h"
#include "graph/ops/recurrence.h"
#include "graph/ops/rwkv.h"
#include "graph/ops/short_convolution.h"
#include "graph/ops/split.h"
#include "graph/ops/swiglu.h"
#include "graph/ops/value_residual.h"

namespace flywheel::graph {
namespace {

constexpr std::array kOps = {
    &kEmbedding,
    &kEmbeddingBackward,  //
    &kNorm,
    &kNormBackward,  //
    &kLinear,
    &kLinearWeightGradient,  //
    &kQkPrepare,
    &kQkPrepareBackward,  //
    &kValues,
    &kValuesBackward,  //
    &kValueResidual,
    &kValueResidualBackward,  //
    &kLatentQkv,
    &kLatentQkvBackward,  //
    &kAttention,
    &kAttentionBackward,      //
    &kAttentionCached,        //
    &kLatentAttentionCached,  //
    &kGate,
    &kGateBackward,  //
    &kSplit,
    &kJoin,  //
    &kShortConvolution,
    &kShortConvolutionBackward,  //
    &kShortConvolutionStep,      //
    &kTokenShift,
    &kTokenShiftBackward,  //
    &kTokenShiftStep,      //
    &kSquash,
    &kSquashBackward,  //
    &kRwkvKeys,
    &kRwkvKeysBackward,  //
    &kRwkvOutput,
    &kRwkvOutputBackward,  //
    &kForget,
    &kForgetBackward,  //
    &kRecurrence,
    &kRecurrenceBackward,  //
    &kRecurrenceStep,      //
    &kGatedNorm,
    &kGatedNormBackward,  //
    &kActivation,
    &kActivationBackward,  //
    &kSwiglu,
    &kSwigluBackward,  //
    &kAdd,             //
    &kConvert,         //
    &kHeadLoss,        //
    &kHeadTrain,       //
    &kHeadLogits,      //
};

}  // namespace

std::span<const Op* const> all_ops() {
  return kOps;
}

}  // namespace flywheel::graph
