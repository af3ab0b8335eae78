// Which instruction sets this machine offers, and the precision the engine uses on it.
#pragma once

#include <string>

#include "tensor/tensor.h"

namespace flywheel::kernels {

// True when bfloat16 matrix products run in hardware (AVX512-BF16).
bool has_bfloat16_dot();
// "AVX512-BF16", "AVX-512", "AVX2", "NEON", "portable": what the dispatch picked.
std::string instruction_set();
// Measured peak of one thread, in GFLOP/s: independent FMA (or bf16 dot) chains in registers.
double measure_peak_gflops(Dtype dtype, double seconds);

}  // namespace flywheel::kernels
