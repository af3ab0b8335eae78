// Which instruction sets this machine offers, and the precision the engine uses on it.
#pragma once

#include <string>
#include <vector>

#include "engine/tensor/tensor.h"

namespace flywheel::kernels {

// True when bfloat16 matrix products run in hardware (AVX512-BF16).
bool has_bfloat16_dot();
// True when they run on a matrix unit (AMX).
bool has_matrix_unit();
// "AMX-BF16", "AVX512-BF16", "AVX-512", "AVX2", "NEON", "portable": what the dispatch picked.
std::string instruction_set();
// What runs slower on this machine than the hardware's kind allows, or than the name of its precision promises; empty
// where every kernel has its fast path.
std::vector<std::string> slower_paths();
// Measured peak of one thread, in GFLOP/s: independent FMA (or bf16 dot) chains in registers; of a matrix unit the
// median of tile products whose operands come from the L2 cache.
double measure_peak_gflops(tensor::Dtype dtype, double seconds);

}  // namespace flywheel::kernels
