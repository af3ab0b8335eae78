// An op is data: one row with everything that the graph compiler and the executor need. How to add one:
// docs/how-to-add-an-op.md.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "engine/graph/graph.h"

namespace flywheel::graph {

class Backward;  // graph/autodiff.h

enum class Backend : uint8_t { kCpu };
inline constexpr int kBackends = 1;
const char* backend_name(Backend backend);

struct TensorType {
  tensor::Shape shape;
  tensor::Dtype dtype = tensor::Dtype::kFloat32;
};

// What a kernel gets: its node, and the addresses of operands in the node's order (null for absent ones).
struct KernelArguments {
  const Graph& graph;
  const Node& node;
  void* const* inputs;
  void* const* outputs;
  void* workspace;
  int64_t sequences = 1;  // whose rows lie one after the other, for an op that joins them; 1 for any other

  template <typename T>
  const T* in(size_t i) const {
    return static_cast<const T*>(inputs[i]);
  }
  template <typename T>
  T* out(size_t i) const {
    return static_cast<T*>(outputs[i]);
  }
  const Value& in_value(size_t i) const { return graph.value(node.inputs[i]); }
  const Value& out_value(size_t i) const { return graph.value(node.outputs[i]); }
};
using Kernel = void (*)(const KernelArguments&);

// Input positions, at most four.
struct Positions {
  std::array<int8_t, 4> list{-1, -1, -1, -1};
  constexpr Positions() = default;
  constexpr Positions(std::initializer_list<int8_t> positions) {
    size_t i = 0;
    for (int8_t position : positions) list[i++] = position;
  }
  constexpr bool contains(int position) const {
    for (int8_t p : list) {
      if (p >= 0 && p == position) return true;
    }
    return false;
  }
};

struct Op {
  const char* name;
  // Types of the arena outputs of a node whose inputs and attributes are set; CHECKs that they fit together.
  std::vector<TensorType> (*infer)(const Graph&, const Node&);
  // Appends the backward ops of a node (a copy of it: appending moves nodes). Null: not differentiable.
  void (*vjp)(Backward&, const Node&);
  // Model FLOPs of one run by the convention of recipe/size.h. Null: none counted.
  double (*flops)(const Graph&, const Node&) = nullptr;
  // Scratch memory that only this node's run needs. Null: none.
  int64_t (*workspace_bytes)(const Graph&, const Node&) = nullptr;
  // The reason, for messages, why a node of these sizes has no fast kernel; null when it has one. A null function: fast
  // at any size.
  const char* (*slower)(const Graph&, const Node&) = nullptr;
  // Output 0 may reuse the memory of one of these inputs when that input is last used here and has the same size in
  // bytes. The kernel must give the same result in place.
  Positions in_place{};
  // The input which, when present, is added to (float32) output 0: fusion puts a following add there. -1: none.
  int accumulate_input = -1;
  // The node computes the gradients of its inputs in its forward run (the training head): backward starts there.
  bool carries_gradient = false;
  // Works on rows regardless of sequences: executed once for all sequences of a run, whose rows are contiguous, with a
  // workspace as many times as large. Other ops are executed for each sequence in turn.
  bool joins_sequences = false;
  std::array<Kernel, kBackends> kernels{};
};

// Every op, in the order of a forward pass: the one table.
std::span<const Op* const> all_ops();

}  // namespace flywheel::graph
