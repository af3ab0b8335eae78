// predict_memory_bytes: what a training process needs at its peak, from the plans that it would run.
#include "model/model.h"

namespace flywheel::model {
namespace {

// The binary, its libraries and their heap, before a model is there.
constexpr uint64_t kProcessBytes = 16u << 20;
// Stack, allocator arena and bookkeeping of a thread.
constexpr uint64_t kThreadBytes = 256u << 10;
// Pages of the mapped corpus that are resident at a time: the kernel reads ahead around each sequence.
constexpr uint64_t kCorpusBytes = 8u << 20;

}  // namespace

uint64_t predict_memory_bytes(const Recipe& recipe, const Size& size, Dtype compute_dtype, int threads) {
  const Program program(recipe, size, compute_dtype);
  const Program::Memory memory = program.memory();
  uint64_t matrix_elements = 0;
  for (const ParameterInfo& p : program.parameters()) {
    if (p.group == ParameterGroup::kMatrix) matrix_elements += static_cast<uint64_t>(p.shape.elements());
  }
  const uint64_t elements = static_cast<uint64_t>(program.parameter_elements()), team = static_cast<uint64_t>(threads);
  uint64_t floats = elements * (1 + team);  // weights; a gradient buffer per thread
  floats += 2 * elements;                   // AdamW's moments
  if (recipe.optimizer.kind == OptimizerKind::kMuon) floats -= matrix_elements;  // one moment instead of two
  return floats * sizeof(float) + team * static_cast<uint64_t>(memory.arena_bytes_train) +
         static_cast<uint64_t>(memory.packed_bytes) + kProcessBytes + team * kThreadBytes + kCorpusBytes;
}

}  // namespace flywheel::model
