// predict_memory_bytes: what a training process needs at its peak, from the plans that it would run.
#include <algorithm>

#include "model/model.h"

namespace flywheel::model {
namespace {

// The binary, its libraries and their heap, before a model is there.
constexpr uint64_t kProcessBytes = 13u << 20;
// Stack, allocator arena and bookkeeping of a thread.
constexpr uint64_t kThreadBytes = 256u << 10;
// Muon orthogonalises one matrix at a time: itself twice in float32, as an operand and packed, and a square or two.
uint64_t muon_workspace_bytes(const Program& program) {
  uint64_t most = 0;
  for (const ParameterInfo& p : program.parameters()) {
    // Fused matrices are taken apart; the largest part has the shape of the matrix that writes to the residual stream.
    if (p.group != ParameterGroup::kMatrix || p.shape[0] != program.size().width) continue;
    const auto elements = static_cast<uint64_t>(p.shape.elements());
    const auto side = static_cast<uint64_t>(std::min(p.shape[0], p.shape[1]));
    const auto operand = static_cast<uint64_t>(dtype_bytes(program.compute_dtype()));
    most = std::max(most, elements * (2 * sizeof(float) + 2 * operand) + side * side * sizeof(float));
  }
  return most;
}

}  // namespace

uint64_t predict_memory_bytes(const Recipe& recipe, const Size& size, Dtype compute_dtype, int threads,
                              uint64_t corpus_bytes) {
  const Program program(recipe, size, compute_dtype);
  const Program::Memory memory = program.memory();
  uint64_t matrix_elements = 0;
  for (const ParameterInfo& p : program.parameters()) {
    if (p.group == ParameterGroup::kMatrix) matrix_elements += static_cast<uint64_t>(p.shape.elements());
  }
  const uint64_t elements = static_cast<uint64_t>(program.parameter_elements()), team = static_cast<uint64_t>(threads);
  const uint64_t gradient_buffers = std::min(team, static_cast<uint64_t>(std::max(1, size.batch_sequences)));
  uint64_t floats = elements * (1 + gradient_buffers) + 2 * elements;  // weights, gradients, AdamW's two moments
  uint64_t bytes = kProcessBytes + corpus_bytes + static_cast<uint64_t>(memory.packed_bytes) +
                   team * (static_cast<uint64_t>(memory.arena_bytes_train) + kThreadBytes);
  if (recipe.optimizer.kind == OptimizerKind::kMuon) {
    floats -= matrix_elements;  // one moment instead of two
    bytes += team * muon_workspace_bytes(program);
  }
  return bytes + floats * sizeof(float);
}

}  // namespace flywheel::model
