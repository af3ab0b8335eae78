#include "engine/graph/memory_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/check.h"
#include "engine/tensor/arena.h"

namespace flywheel::graph {
namespace {

bool live_together(const Block& a, const Block& b) {
  return a.first <= b.last && b.first <= a.last;
}

void check_no_overlap(std::span<const Block> blocks, const MemoryPlan& plan) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (!live_together(blocks[i], blocks[j])) continue;
      CHECK(
          plan.offsets[i] + blocks[i].bytes <= plan.offsets[j] || plan.offsets[j] + blocks[j].bytes <= plan.offsets[i],
          "blocks {} and {} overlap", i, j);
    }
  }
}

}  // namespace

MemoryPlan plan_memory(std::span<const Block> blocks) {
  std::vector<size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });

  MemoryPlan plan;
  plan.offsets.assign(blocks.size(), 0);
  std::vector<size_t> placed;  // by offset
  for (size_t block : order) {
    const int64_t bytes = tensor::align_up(blocks[block].bytes);
    int64_t best_offset = -1, best_gap = std::numeric_limits<int64_t>::max(), end = 0;
    for (size_t other : placed) {
      if (!live_together(blocks[block], blocks[other])) continue;
      const int64_t gap = plan.offsets[other] - end;
      if (gap >= bytes && gap < best_gap) {
        best_gap = gap;
        best_offset = end;
      }
      end = std::max(end, plan.offsets[other] + tensor::align_up(blocks[other].bytes));
    }
    const int64_t offset = best_offset >= 0 ? best_offset : end;
    plan.offsets[block] = offset;
    plan.bytes = std::max(plan.bytes, offset + bytes);
    const auto at = std::lower_bound(placed.begin(), placed.end(), offset,
                                     [&](size_t other, int64_t value) { return plan.offsets[other] < value; });
    placed.insert(at, block);
  }
  check_no_overlap(blocks, plan);
  return plan;
}

}  // namespace flywheel::graph
