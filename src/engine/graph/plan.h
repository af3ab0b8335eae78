// A compiled graph: every operand is an address within a few buffers, every node a kernel of one backend. Execution is
// in order and allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/graph/op.h"

namespace flywheel::graph {

inline constexpr size_t kMaxOperands = 8;

struct Operand {
  Storage storage = Storage::kArena;
  bool present = false;
  int64_t offset = 0;  // bytes in its buffer; slot of an external; index of a constant
  int64_t stride = 0;  // from one sequence to the next, in the same unit; 0: all share it
};

struct Step {
  Kernel kernel = nullptr;
  size_t node = 0;
  std::array<Operand, kMaxOperands> inputs, outputs;
  Operand workspace;
};

// The buffers of one thread's run.
struct Buffers {
  std::byte* arena = nullptr;         // plan.arena_bytes(), 64-byte aligned
  const float* parameters = nullptr;  // flat
  float* gradients = nullptr;         // flat, as the parameters; null when the graph has no backward
  const std::byte* packed = nullptr;  // by the graph's PackedLayout
  std::span<void* const> externals;   // by slot, those of each sequence after those of the one before
  std::byte* state = nullptr;         // graph.state_bytes(), 64-byte aligned; null when the graph has none
};

// Immutable, shared between threads.
class Plan {
 public:
  // For runs of up to `sequences` sequences at once. Throws kBadInput naming the op when the backend has no kernel for
  // it.
  Plan(Graph graph, Backend backend, int sequences = 1);
  Plan(const Plan&) = delete;  // kernels see nodes by reference
  Plan& operator=(const Plan&) = delete;

  const Graph& graph() const { return graph_; }
  int64_t arena_bytes() const { return arena_bytes_; }
  int sequences() const { return sequences_; }
  std::span<const Step> steps() const { return steps_; }
  // Address of a kept value (of the first sequence) after a run.
  void* address(ValueId value, const Buffers& buffers) const;
  std::string describe() const;
  // The nodes without a fast kernel and the reason, once per op and size.
  std::vector<std::string> slower_sizes() const;

  void run(const Buffers& buffers, int sequences = 1) const {
    run_observed(buffers, sequences, [](size_t) {});
  }
  // Calls observe(step) before each step and once at the end, with the number of steps. An empty one costs nothing.
  template <typename Observer>
  void run_observed(const Buffers& buffers, int sequences, Observer&& observe) const {
    for (size_t i = 0; i < steps_.size(); ++i) {
      observe(i);
      run_step(steps_[i], buffers, sequences);
    }
    observe(steps_.size());
  }

 private:
  void run_step(const Step& step, const Buffers& buffers, int sequences) const;
  void* resolve(const Operand& operand, const Buffers& buffers, int sequence) const;
  void place_values();

  Graph graph_;
  int sequences_;
  std::vector<Step> steps_;
  std::vector<Operand> operands_;  // of each value
  std::vector<Operand> workspaces_;
  int64_t arena_bytes_ = 0;
};

}  // namespace flywheel::graph
