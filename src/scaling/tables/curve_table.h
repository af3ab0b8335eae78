// Reads loss curves from a table with one measured step a row.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scaling/curves/curve_schedule.h"

namespace flywheel::scaling {

// Columns in any order and case: run, step, lr (learning_rate, rate), loss (val_loss); optional N (params) and
// tokens_per_step (batch_tokens) or tokens (of which the last row's mean per step is taken). Rows of a run may be
// interleaved with others', its steps rise. A row without a loss only tells the schedule: a run may end in such rows
// and have its end predicted. Between rows the rate is a straight line: log the steps where a schedule bends. Read as
// base/table/table.h says. Throws kBadInput naming `where`, the line and the column: missing
// columns, no rows, text for numbers, NaN, negative or infinite values, steps that do not rise, rates that are zero
// throughout, sizes that change within a run. `loss_required`: some row of every file must have a loss.
// `columns`: what stands where, as --columns takes it.
std::vector<Curve> parse_curves(std::string_view bytes, const std::string& where, bool loss_required = true,
                                const std::vector<std::string>& columns = {});

}  // namespace flywheel::scaling
