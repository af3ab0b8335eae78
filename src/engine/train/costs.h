// What a training step costs beside the model's FLOPs: the optimizer's arithmetic and the memory traffic of look-up
// tables. Exact sums over the optimizer's plan, so that every block and rule is counted as it is run.
#pragma once

#include "protocol/step_costs.h"
#include "recipe/recipe.h"
#include "recipe/size.h"

namespace flywheel::train {

// FLOPs: of all update rules (update_rule.h), the gradient's norm 2 an element, L2 decay 2, a weight average 3. Tables
// are updated whole in every step, rows that no token touched included, and are counted so. Does not depend on the
// batch or on the number of threads. Throws kBadInput for a size that cannot be.
protocol::StepCosts step_costs(const recipe::Recipe& recipe, const recipe::Size& size);

}  // namespace flywheel::train
