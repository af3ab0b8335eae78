// mix_streams and scale_channels: what is learned about the residual stream itself. Hyper-connections (Zhu et al. 2024)
// mix several streams, skips weight an earlier one; LayerScale (Touvron et al. 2021) weights channels.
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kMixStreams;
extern const struct Op kMixStreamsBackward;
// x (T, n * C) float32: n streams side by side; `extra` (T, C) float32 or kNoValue: one more. Gives (T, outputs * C):
// stream i is the sum over j of weight (i, j) times input j. The weights (outputs, n or n + 1) are `base` (a constant)
// plus `learned` (a parameter of as many elements); either may be kNoValue.
ValueId mix_streams(Graph& graph, ValueId x, ValueId extra, ValueId base, ValueId learned, int outputs);

extern const struct Op kScaleChannels;
extern const struct Op kScaleChannelsBackward;
// x (T, C) float32 times gain (C), a parameter.
ValueId scale_channels(Graph& graph, ValueId x, ValueId gain);

}  // namespace flywheel::graph
