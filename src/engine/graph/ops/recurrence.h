// recurrence: a linear recurrence over the sequence with a matrix state per head, in chunks for training and a token
// at a time for sampling. What it computes, and whose: kernels/recurrence.h.
#pragma once

#include "engine/graph/graph.h"
#include "engine/kernels/recurrence.h"

namespace flywheel::graph {

extern const struct Op kRecurrence;
extern const struct Op kRecurrenceBackward;
extern const struct Op kRecurrenceStep;

// As kernels::RecurrenceShape, less the tokens.
struct RecurrenceAttributes {
  int heads = 0, key_dim = 0, value_dim = 0;
  bool shared_keys = false, channel_decay = false, unit_keys = false;
  kernels::Delta delta = kernels::Delta::kNone;
  float query_scale = 1;
};
// Shapes and dtypes as kernels::RecurrenceInputs has them; skip is a parameter.
struct RecurrenceOperands {
  ValueId qkv = kNoValue, log_decay = kNoValue, beta = kNoValue, ab = kNoValue, skip = kNoValue;
};
// Gives (T, H V) in qkv's dtype.
ValueId recurrence(Graph& graph, const RecurrenceOperands& operands, const RecurrenceAttributes& attributes);
// The same for one token: `state` (H, K, V) float32 holds what came before it.
ValueId recurrence_step(Graph& graph, const RecurrenceOperands& operands, ValueId state,
                        const RecurrenceAttributes& attributes);

}  // namespace flywheel::graph
