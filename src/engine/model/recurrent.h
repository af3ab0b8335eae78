// Shared parts of the recurrent mixers: the recurrence in parallel or recurrent form, and the short convolution (which
// attention uses too).
#pragma once

#include "engine/graph/ops/recurrence.h"
#include "engine/model/mixers.h"

namespace flywheel::model {

// Heads, and the widths of keys and values per head, as the recipe has them.
graph::RecurrenceAttributes recurrence_attributes(const Builder& builder);
// (T, H V), over the whole sequence or from the state `name`.state.
graph::ValueId recur(Builder& builder, const std::string& name, const graph::RecurrenceOperands& operands,
                     const graph::RecurrenceAttributes& attributes);
// x (T, N), queries, keys and values, through the recipe's short convolution; x itself when it is off.
graph::ValueId convolve(Builder& builder, const std::string& name, graph::ValueId x);

}  // namespace flywheel::model
