// The static graph of one sequence: values, and the nodes that compute them in execution order. Shapes are known before
// the first step, so autodiff, fusion and memory planning happen once, ahead of time.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/graph/packed_layout.h"
#include "engine/tensor/tensor.h"

namespace flywheel::graph {

struct Op;  // graph/op.h

using ValueId = int32_t;
inline constexpr ValueId kNoValue = -1;  // an optional operand that is absent

// Where a value lives, and what Value::offset means there.
enum class Storage : uint8_t {
  kArena,              // planned (memory_plan.h); offset unused until then
  kParameter,          // the flat float32 parameter buffer; offset in elements
  kParameterGradient,  // the flat gradient buffer, always added to; offset in elements
  kPacked,             // packed weights; offset in bytes
  kConstant,           // the graph's own tables; offset is the index of the table
  kExternal,           // bound by the caller at each run; offset is the slot
  kState,              // lives from one run to the next (caches, recurrent states); offset in bytes
};

struct Value {
  std::string name;
  tensor::Shape shape;
  tensor::Dtype dtype = tensor::Dtype::kFloat32;
  Storage storage = Storage::kArena;
  int64_t offset = 0;
  ValueId parameter = kNoValue;  // of a gradient or packed value: what it belongs to
  bool transposed = false;       // of a packed value: false multiplies by Wᵀ (forward), true by W
  bool kept = false;             // stays in its place until the end of the run: the caller reads it
};

// Attributes of a node for its kernel: a plain struct defined by the op, at most kBytes long.
class Attributes {
 public:
  static constexpr size_t kBytes = 64;
  Attributes() = default;
  template <typename T>
  static Attributes of(const T& attributes) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kBytes);
    Attributes result;
    std::memcpy(result.bytes_.data(), &attributes, sizeof(T));
    return result;
  }
  template <typename T>
  T as() const {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kBytes);
    T attributes;
    std::memcpy(&attributes, bytes_.data(), sizeof(T));
    return attributes;
  }

 private:
  std::array<std::byte, kBytes> bytes_{};
};

// An application of an op. Operands have the fixed positions that the op's file documents; absent ones are kNoValue.
// An output in parameter gradient storage is added to, every other output is written whole.
struct Node {
  const Op* op = nullptr;  // null: erased by a pass, until compact()
  std::vector<ValueId> inputs, outputs;
  Attributes attributes;
};

// Building is single-threaded; a finished graph is immutable and shared. Shapes that do not fit are a bug of the
// builder (CHECK), because recipes and sizes are validated before.
class Graph {
 public:
  // Packed weights are laid out in `packed`, which several graphs of one model share; it must outlive the graph.
  explicit Graph(PackedLayout* packed) : packed_layout_(packed) {}

  // Leaves.
  ValueId external(std::string name, tensor::Shape shape,
                   tensor::Dtype dtype);  // slots are numbered in order of declaration
  ValueId parameter(std::string name, tensor::Shape shape, int64_t offset_elements);
  ValueId parameter_gradient(ValueId parameter);                            // one per parameter
  ValueId packed(ValueId parameter, bool transposed, tensor::Dtype dtype);  // one per (parameter, form)
  // Read and written in place by the ops that take it as an input; zero before the first run.
  ValueId state(std::string name, tensor::Shape shape, tensor::Dtype dtype);
  ValueId constant(std::string name, tensor::Shape shape,
                   std::vector<float> elements);  // a table that belongs to the graph

  // Appends a node: infers the outputs' types with the op and creates them in the arena. `gradients` (parameter
  // gradient values the node adds to) follow the inferred outputs. Returns the outputs.
  std::vector<ValueId> append(const Op& op, std::vector<ValueId> inputs, const Attributes& attributes = {},
                              std::vector<ValueId> gradients = {});

  void keep(ValueId value) { values_[static_cast<size_t>(value)].kept = true; }
  const Value& value(ValueId id) const { return values_[static_cast<size_t>(id)]; }
  void rename(ValueId id, std::string name) { values_[static_cast<size_t>(id)].name = std::move(name); }
  std::span<const Value> values() const { return values_; }
  std::span<const Node> nodes() const { return nodes_; }
  std::span<const float> constant_elements(int64_t index) const { return constants_[static_cast<size_t>(index)]; }

  // For passes: change a node in place, and drop erased nodes at the end.
  Node& mutable_node(size_t index) { return nodes_[index]; }
  void compact();

  int64_t externals() const { return externals_; }
  int64_t state_bytes() const { return state_bytes_; }

  // Model FLOPs of one run (recipe/size.h says the convention).
  double flops() const;
  // One line: name, op, operands with shapes and dtypes.
  std::string describe(const Node& node) const;

 private:
  ValueId push(Value value);

  PackedLayout* packed_layout_;
  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<std::vector<float>> constants_;
  int64_t externals_ = 0, state_bytes_ = 0;
};

// For every value: the nodes that read it, and the node that writes it (-1: a leaf). Rebuilt after changes.
struct Uses {
  explicit Uses(const Graph& graph);
  std::vector<std::vector<int>> readers;
  std::vector<int> producer;
};

}  // namespace flywheel::graph
