// Normal draws in bulk: initial weights. A model's first step would otherwise wait for them longer than for anything.
#pragma once

#include <cstdint>

#include "base/rng.h"

namespace flywheel::kernels {

// values (n) = standard_deviation times normal draws of the stream (Box and Muller 1958, in float32). The same stream
// gives the same draws for any n, up to the last n's end; instruction sets differ in the last bits.
void fill_normal(Rng& rng, float standard_deviation, float* values, int64_t n);

}  // namespace flywheel::kernels
