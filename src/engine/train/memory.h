// Predicts the peak memory of a training process from the plans that it would run.
#pragma once

#include <cstdint>

#include "engine/model/model.h"

namespace flywheel::train {

// Weights, gradients per thread, optimizer state and scratch, packed weights, arenas, the program itself, and
// `corpus_bytes` of mapped token files (those of the splits it reads: their pages stay resident where there is room).
uint64_t predict_memory_bytes(const recipe::Recipe& recipe, const recipe::Size& size, tensor::Dtype compute_dtype,
                              int threads, uint64_t corpus_bytes = 0);

}  // namespace flywheel::train
