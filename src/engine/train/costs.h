// What a training step costs beside the model's FLOPs: the optimizer's arithmetic and the memory traffic of look-up
// tables. Sums over the optimizer's plan, so that every block and rule is counted as it is run.
#pragma once

#include "protocol/step_costs.h"
#include "recipe/recipe.h"
#include "recipe/size.h"

namespace flywheel::train {

// FLOPs: of all update rules (update_rule.h), the gradient's norm 2 an element, L2 decay 2, a weight average 3. Of
// hashed tables whose rows are updated as they are looked up (table_rows.h) at most as many rows as a step has tokens,
// as if each looked up one of its own that had rested; repeated n-grams make it fewer. Other tables are counted whole.
// Does not depend on the number of threads. Throws kBadInput for a size that cannot be.
protocol::StepCosts step_costs(const recipe::Recipe& recipe, const recipe::Size& size);

}  // namespace flywheel::train
