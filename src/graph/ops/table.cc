// The table of all ops: one line each.
#include <array>

#include "graph/op.h"
#include "graph/ops/activation.h"
#include "graph/ops/add.h"
#include "graph/ops/attention.h"
#include "graph/ops/convert.h"
#include "graph/ops/dynamic_tanh.h"
#include "graph/ops/embedding.h"
#include "graph/ops/gate.h"
#include "graph/ops/gated.h"
#include "graph/ops/grouped_linear.h"
#include "graph/ops/head.h"
#include "graph/ops/latent.h"
#include "graph/ops/linear.h"
#include "graph/ops/mix_streams.h"
#include "graph/ops/ngram_embedding.h"
#include "graph/ops/norm.h"
#include "graph/ops/qk_prepare.h"
#include "graph/ops/route.h"
#include "graph/ops/scale.h"
#include "graph/ops/value_residual.h"

namespace flywheel::graph {
namespace {

constexpr std::array kOps = {
    &kEmbedding,
    &kEmbeddingBackward,  //
    &kNgramEmbedding,
    &kNgramEmbeddingBackward,  //
    &kNorm,
    &kNormBackward,  //
    &kDynamicTanh,
    &kDynamicTanhBackward,  //
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
    &kActivation,
    &kActivationBackward,  //
    &kGated,
    &kGatedBackward,  //
    &kRoute,
    &kRouteBackward,  //
    &kSpread,
    &kGather,  //
    &kGroupedLinear,
    &kGroupedLinearWeightGradient,  //
    &kCombine,
    &kCombineBackward,  //
    &kAdd,              //
    &kScale,            //
    &kScaleChannels,
    &kScaleChannelsBackward,  //
    &kMixStreams,
    &kMixStreamsBackward,  //
    &kConvert,             //
    &kHeadLoss,            //
    &kHeadTrain,           //
    &kHeadLogits,          //
};

}  // namespace

std::span<const Op* const> all_ops() {
  return kOps;
}

}  // namespace flywheel::graph
