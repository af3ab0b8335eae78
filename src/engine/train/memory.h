// Predicts the peak memory of a training process from the plans that it would run.
#pragma once

#include <cstdint>

#include "engine/model/model.h"

namespace flywheel::train {

// Weights, gradients per thread, optimizer state and scratch, packed weights, arenas, the program itself, and
// `corpus_bytes` of mapped token files (those of the splits it reads: their pages stay resident where there is room).
uint64_t predict_memory_bytes(const recipe::Recipe& recipe, const recipe::Size& size, tensor::Dtype compute_dtype,
                              int threads, uint64_t corpus_bytes = 0);

// What such a process cannot do without, by the counts alone: its weights. For refusing a size before its plans, which
// take as long to make as they are large.
uint64_t least_memory_bytes(const recipe::Recipe& recipe, const recipe::Size& size);

}  // namespace flywheel::train
