// Every rule, with its paper; each in a file of its own.
#pragma once

#include "engine/train/rules/rule.h"

namespace flywheel::train {

extern const Rule kAdamw;         // Loshchilov and Hutter 2019
extern const Rule kMuon;          // Jordan et al. 2024
extern const Rule kLion;          // Chen et al. 2023
extern const Rule kSoap;          // Vyas et al. 2024
extern const Rule kScheduleFree;  // Defazio et al. 2024: needs `average`, which is its x
extern const Rule kBalance;       // Wang et al. 2024: of experts' biases, whatever the optimizer

}  // namespace flywheel::train
