// What the mixers beyond attention share: the recurrence in the builder's form.
#pragma once

#include "graph/ops/recurrence.h"
#include "model/mixers.h"

namespace flywheel::model {

// Heads, and the widths of keys and values per head, as the recipe has them.
graph::RecurrenceAttributes recurrence_attributes(const Builder& builder);
// (T, H V), over the whole sequence or from the state `name`.state.
graph::ValueId recur(Builder& builder, const std::string& name, const graph::RecurrenceOperands& operands,
                     const graph::RecurrenceAttributes& attributes);

}  // namespace flywheel::model
