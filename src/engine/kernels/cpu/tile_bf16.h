// The bfloat16 register tile on the AVX512-BF16 dot instruction, which Highway 1.0.3 does not know.
#pragma once

#include "engine/kernels/cpu/tile_task.h"

namespace flywheel::kernels {

bool machine_has_bfloat16_dot();
// The same, for inner loops.
extern const bool kMachineHasBfloat16Dot;
// REQUIRES: machine_has_bfloat16_dot().
void tile_bfloat16_dot(const TileTask& task, int64_t rows, int64_t columns);
// Runs independent chains of the dot instruction; returns the floating-point operations done.
double run_bfloat16_chains(int64_t repetitions);

}  // namespace flywheel::kernels
