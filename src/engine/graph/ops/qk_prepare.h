// qk_prepare: what happens to queries and keys before attention: QK-norm (Dehghani et al. 2023), then rotary positions
// (Su et al. 2021), within the rows of qkv.
#pragma once

#include "engine/graph/graph.h"

namespace flywheel::graph {

extern const struct Op kQkPrepare;
extern const struct Op kQkPrepareBackward;

struct QkPrepareAttributes {
  int vectors = 0;  // queries and keys of a row: H + G
  int head_dim = 0;
  bool qk_norm = false;
};
// qkv (T, (H + 2G) * Dh); cosines and sines constants (T, half of the part of a head that is rotated), or both
// kNoValue for no rotation.
// `position` (int32 external or kNoValue): the row of the tables that the first token takes, for decoding.
ValueId qk_prepare(Graph& graph, ValueId qkv, ValueId cosines, ValueId sines, const QkPrepareAttributes& attributes,
                   ValueId position = kNoValue);

}  // namespace flywheel::graph
