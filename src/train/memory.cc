#include "train/memory.h"

#include <algorithm>
#include <numeric>

#include "train/loaded_model.h"
#include "train/optimizer_plan.h"

namespace flywheel::train {
namespace {

// The binary, its libraries and their heap, before a model is there.
constexpr uint64_t kProcessBytes = 13u << 20;
// Stack, allocator arena and bookkeeping of a thread.
constexpr uint64_t kThreadBytes = 256u << 10;

}  // namespace

uint64_t predict_memory_bytes(const Recipe& recipe, const Size& size, Dtype compute_dtype, int threads,
                              uint64_t corpus_bytes) {
  const model::Program program(recipe, size, compute_dtype, sequences_at_once(size, threads));
  const model::Program::Memory memory = program.memory();
  const OptimizerPlan optimizer(recipe, size, program.parameters(), program.parameter_elements(), compute_dtype,
                                threads);
  const auto team = static_cast<uint64_t>(threads);
  const uint64_t gradients = std::min(team, static_cast<uint64_t>(std::max(1, size.batch_sequences)));
  uint64_t floats = static_cast<uint64_t>(program.parameter_elements()) * (1 + gradients) +
                    static_cast<uint64_t>(optimizer.state_elements);
  if (recipe.optimizer.decay_form == WeightDecay::kL2) floats += team * static_cast<uint64_t>(optimizer.largest_piece);
  const int64_t scratch =
      std::accumulate(optimizer.scratch_bytes.begin(), optimizer.scratch_bytes.end(), memory.packed_bytes);
  return kProcessBytes + corpus_bytes + static_cast<uint64_t>(scratch) + floats * sizeof(float) +
         team * (static_cast<uint64_t>(memory.arena_bytes_train) + kThreadBytes);
}

}  // namespace flywheel::train
