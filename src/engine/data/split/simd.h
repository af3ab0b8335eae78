// Which Highway targets windows of bytes are compiled for: one binary, the best that the machine has is picked at run
// time. Left out: in-between x86 levels (compile time) and vectors of unknown length.
#pragma once

#include <hwy/detect_targets.h>

#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

#include <hwy/targets.h>
