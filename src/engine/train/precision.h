// Which precision this machine trains faster in. It depends on the machine and on the model's width: a dot instruction
// for bfloat16 can run at half of float32's rate, and a matrix unit gains nothing from the narrowest models. So it is
// measured, and what is chosen is written into a run's spec, which then means the same bits everywhere.
#pragma once

#include <vector>

#include "engine/tensor/tensor.h"
#include "recipe/run_spec.h"

namespace flywheel::train {

// Seconds of forward and backward of one layer of the base recipe, 256 tokens, one thread: the best of a few in turn.
struct PrecisionTiming {
  int width = 0;
  double fp32_seconds = 0, bf16_seconds = 0;  // 0: not timed, since there is no hardware for bfloat16
  // fp32 unless bf16 is faster by more than timing scatters.
  recipe::Precision faster() const;
};

// Widths that are timed; others take the nearest one, in the logarithm.
inline constexpr int kTimedWidths[] = {16, 32, 64, 128, 256, 512};
int nearest_timed_width(int width);
// Takes milliseconds, up to a third of a second for the widest.
PrecisionTiming time_precisions(int width);
std::vector<PrecisionTiming> time_all_precisions();

// The faster one for models of this width, timed when a process first asks. Thread-safe.
recipe::Precision faster_precision(int width);
// kAuto: the faster one.
tensor::Dtype choose_dtype(recipe::Precision precision, int width);
const char* precision_name(tensor::Dtype dtype);

}  // namespace flywheel::train
