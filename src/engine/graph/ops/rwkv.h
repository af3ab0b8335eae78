// The ops of RWKV-7 (Peng et al. 2025) around its recurrence; kernels/rwkv.h says what they compute.
#pragma once

#include "engine/graph/graph.h"
#include "engine/kernels/rwkv.h"

namespace flywheel::graph {

extern const struct Op kTokenShift;
extern const struct Op kTokenShiftBackward;
extern const struct Op kTokenShiftStep;
extern const struct Op kSquash;
extern const struct Op kSquashBackward;
extern const struct Op kRwkvKeys;
extern const struct Op kRwkvKeysBackward;
extern const struct Op kRwkvOutput;
extern const struct Op kRwkvOutputBackward;

// h (T, C); shares (kShifts, C) a parameter. Gives kShifts values (T, C) of h's dtype.
std::vector<ValueId> token_shift(Graph& graph, ValueId h, ValueId shares);
// The same for one token: `before` (1, C) of h's dtype is a state.
std::vector<ValueId> token_shift_step(Graph& graph, ValueId h, ValueId shares, ValueId before);

ValueId squash(Graph& graph, kernels::Squash kind, ValueId x);

struct RwkvHeads {
  int heads = 0, key_dim = 0, value_dim = 0;
};
struct RwkvKeyOperands {
  ValueId receptance, key, value, rate;     // of one dtype
  ValueId rate_bias, removal, replacement;  // parameters
};
struct RwkvKeyValues {
  ValueId qkv, ab;  // as the recurrence takes them
};
RwkvKeyValues rwkv_keys(Graph& graph, const RwkvKeyOperands& operands, const RwkvHeads& heads);

struct RwkvOutputOperands {
  ValueId mixed, qkv, gate;   // of one dtype
  ValueId gain, bias, bonus;  // parameters
};
// Gives (T, H V).
ValueId rwkv_output(Graph& graph, const RwkvOutputOperands& operands, const RwkvHeads& heads);

}  // namespace flywheel::graph
