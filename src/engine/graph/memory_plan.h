// Memory planning: the offset of each intermediate value in one arena, from lifetimes by greedy best fit (as in
// Pisarchyk and Lee 2020, "Efficient Memory Management for Deep Neural Net Inference": largest first, into the smallest
// gap).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace flywheel::graph {

// A block of memory that is live from step `first` to step `last`, both included.
struct Block {
  int64_t bytes = 0;
  int first = 0, last = 0;
};

struct MemoryPlan {
  std::vector<int64_t> offsets;  // in bytes, one per block, 64-byte aligned
  int64_t bytes = 0;             // of the arena
};

// Deterministic. Two blocks that are live in the same step never overlap (checked).
MemoryPlan plan_memory(std::span<const Block> blocks);

}  // namespace flywheel::graph
