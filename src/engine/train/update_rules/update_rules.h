// All update rules with their papers; each has its own file.
#pragma once

#include "engine/train/update_rules/update_rule.h"

namespace flywheel::train {

extern const UpdateRule kAdamw;         // Loshchilov and Hutter 2019
extern const UpdateRule kMuon;          // Jordan et al. 2024
extern const UpdateRule kLion;          // Chen et al. 2023
extern const UpdateRule kSoap;          // Vyas et al. 2024
extern const UpdateRule kScheduleFree;  // Defazio et al. 2024: needs `average`, which is its x
extern const UpdateRule kBalance;       // Wang et al. 2024: of experts' biases, whatever the optimizer

}  // namespace flywheel::train
