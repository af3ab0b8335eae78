#include "engine/train/memory.h"

#include <algorithm>

#include "engine/train/loaded_model.h"
#include "engine/train/optimizer_plan.h"

namespace flywheel::train {
namespace {

// The binary, its libraries and their heap, before a model is there.
constexpr uint64_t kProcessBytes = 13u << 20;
// Stack, allocator arena and bookkeeping of a thread.
constexpr uint64_t kThreadBytes = 256u << 10;

}  // namespace

uint64_t predict_memory_bytes(const recipe::Recipe& recipe, const recipe::Size& size, tensor::Dtype compute_dtype,
                              int threads, uint64_t corpus_bytes) {
  const model::Program program(recipe, size, compute_dtype, sequences_at_once(size, compute_dtype, threads));
  const model::Program::Memory memory = program.memory();
  const OptimizerPlan optimizer(recipe, size, program.parameters(), program.parameter_elements(), compute_dtype,
                                threads);
  constexpr auto held = tensor::Arena::held_bytes;
  const auto flat = [](int64_t elements) { return held(elements * int64_t{sizeof(float)}); };
  // Weights of hashed tables, while others are evaluated in their place, and what is kept of their rows and of steps.
  int64_t resting = 0;
  for (const TablePiece& table : optimizer.tables) resting += table.elements() + 4 * table.rows;
  if (resting > 0) resting += 2 * size.steps;
  const int64_t gradients = std::min(threads, std::max(1, size.batch_sequences));
  int64_t bytes = (1 + gradients) * flat(program.parameter_elements()) + flat(optimizer.state_elements) +
                  flat(resting) + held(memory.packed_bytes) + threads * held(memory.arena_bytes_train);
  if (recipe.optimizer.decay_form == recipe::WeightDecay::kL2) bytes += threads * flat(optimizer.largest_piece);
  for (const int64_t scratch : optimizer.scratch_bytes) bytes += held(scratch);
  return kProcessBytes + corpus_bytes + static_cast<uint64_t>(bytes) + static_cast<uint64_t>(threads) * kThreadBytes;
}

uint64_t least_memory_bytes(const recipe::Recipe& recipe, const recipe::Size& size) {
  return static_cast<uint64_t>(recipe::count(recipe, size).parameters) * sizeof(float);
}

}  // namespace flywheel::train
