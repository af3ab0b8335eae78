#include "engine/graph/plan.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"
#include "engine/graph/memory_plan.h"

namespace flywheel::graph {
namespace {

int64_t value_bytes(const Value& value) {
  return value.shape.elements() * tensor::dtype_bytes(value.dtype);
}

bool in_arena(const Graph& graph, ValueId id) {
  return id != kNoValue && graph.value(id).storage == Storage::kArena;
}

// Lifetimes of arena values, and which block each shares: an output that is computed in place joins its input's block.
struct Lifetimes {
  std::vector<Block> blocks;
  std::vector<int> block_of_value;  // -1: not in the arena
  std::vector<int> block_of_workspace;
};

Lifetimes find_lifetimes(const Graph& graph, int sequences) {
  const std::span<const Node> nodes = graph.nodes();
  const int steps = static_cast<int>(nodes.size());
  const Uses uses(graph);
  const auto last_use = [&](ValueId id) {
    const auto& readers = uses.readers[static_cast<size_t>(id)];
    if (graph.value(id).kept) return steps;
    return readers.empty() ? uses.producer[static_cast<size_t>(id)] : readers.back();
  };
  Lifetimes result;
  result.block_of_value.assign(graph.values().size(), -1);
  result.block_of_workspace.assign(nodes.size(), -1);
  for (int step = 0; step < steps; ++step) {
    const Node& node = nodes[static_cast<size_t>(step)];
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const ValueId output = node.outputs[o];
      if (!in_arena(graph, output)) continue;
      int block = -1;
      for (size_t i = 0; o == 0 && i < node.inputs.size() && block < 0; ++i) {
        const ValueId input = node.inputs[i];
        if (!node.op->in_place.contains(static_cast<int>(i)) || !in_arena(graph, input)) continue;
        const auto& readers = uses.readers[static_cast<size_t>(input)];
        const bool read_twice = std::count(node.inputs.begin(), node.inputs.end(), input) > 1;
        const bool dies_here = last_use(input) == step && !readers.empty() && !read_twice;
        if (dies_here && value_bytes(graph.value(input)) == value_bytes(graph.value(output))) {
          block = result.block_of_value[static_cast<size_t>(input)];
        }
      }
      if (block < 0) {
        block = static_cast<int>(result.blocks.size());
        result.blocks.push_back({sequences * value_bytes(graph.value(output)), step, step});
      }
      result.block_of_value[static_cast<size_t>(output)] = block;
      Block& b = result.blocks[static_cast<size_t>(block)];
      b.last = std::max(b.last, last_use(output));
    }
    const int64_t workspace = node.op->workspace_bytes == nullptr ? 0 : node.op->workspace_bytes(graph, node);
    if (workspace > 0) {
      const int64_t bytes = node.op->joins_sequences ? sequences * workspace : workspace;
      result.block_of_workspace[static_cast<size_t>(step)] = static_cast<int>(result.blocks.size());
      result.blocks.push_back({bytes, step, step});
    }
  }
  return result;
}

}  // namespace

Plan::Plan(Graph graph, Backend backend, int sequences) : graph_(std::move(graph)), sequences_(sequences) {
  place_values();
  steps_.reserve(graph_.nodes().size());
  for (size_t i = 0; i < graph_.nodes().size(); ++i) {
    const Node& node = graph_.nodes()[i];
    CHECK(node.inputs.size() <= kMaxOperands && node.outputs.size() <= kMaxOperands, "{}", node.op->name);
    Step step;
    step.kernel = node.op->kernels[static_cast<size_t>(backend)];
    if (step.kernel == nullptr) {
      throw_bad_input("the op \"{}\" has no kernel for the backend \"{}\": choose another backend or another recipe",
                      node.op->name, backend_name(backend));
    }
    step.node = i;
    for (const ValueId id : node.inputs) {
      CHECK(sequences_ == 1 || !node.op->joins_sequences || id == kNoValue ||
                graph_.value(id).storage != Storage::kExternal,
            "{} takes the rows of several sequences, which externals are not", node.op->name);
    }
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      if (node.inputs[k] != kNoValue) step.inputs[k] = operands_[static_cast<size_t>(node.inputs[k])];
    }
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      if (node.outputs[k] != kNoValue) step.outputs[k] = operands_[static_cast<size_t>(node.outputs[k])];
    }
    step.workspace = workspaces_[i];
    steps_.push_back(step);
  }
}

void Plan::place_values() {
  const Lifetimes lifetimes = find_lifetimes(graph_, sequences_);
  const MemoryPlan memory = plan_memory(lifetimes.blocks);
  arena_bytes_ = memory.bytes;
  operands_.resize(graph_.values().size());
  for (size_t i = 0; i < operands_.size(); ++i) {
    const Value& value = graph_.values()[i];
    operands_[i] = {value.storage, true, value.offset};
    if (value.storage == Storage::kParameter || value.storage == Storage::kParameterGradient) {
      operands_[i].offset = value.offset * tensor::dtype_bytes(tensor::Dtype::kFloat32);
    }
    if (value.storage == Storage::kArena) {
      const int block = lifetimes.block_of_value[i];
      operands_[i].present = block >= 0;
      operands_[i].offset = block >= 0 ? memory.offsets[static_cast<size_t>(block)] : 0;
      operands_[i].stride = value_bytes(value);
    }
    if (value.storage == Storage::kExternal) operands_[i].stride = graph_.externals();
  }
  workspaces_.resize(graph_.nodes().size());
  for (size_t i = 0; i < workspaces_.size(); ++i) {
    const int block = lifetimes.block_of_workspace[i];
    if (block >= 0) workspaces_[i] = {Storage::kArena, true, memory.offsets[static_cast<size_t>(block)]};
  }
}

void* Plan::resolve(const Operand& operand, const Buffers& buffers, int sequence) const {
  if (!operand.present) return nullptr;
  const int64_t offset = operand.offset + sequence * operand.stride;
  switch (operand.storage) {
    case Storage::kArena:
      return buffers.arena + offset;
    case Storage::kParameter:
      return const_cast<std::byte*>(reinterpret_cast<const std::byte*>(buffers.parameters) + operand.offset);
    case Storage::kParameterGradient:
      return reinterpret_cast<std::byte*>(buffers.gradients) + operand.offset;
    case Storage::kPacked:
      return const_cast<std::byte*>(buffers.packed + operand.offset);
    case Storage::kConstant:
      return const_cast<float*>(graph_.constant_elements(operand.offset).data());
    case Storage::kState:
      return buffers.state + operand.offset;
    case Storage::kExternal:
      return buffers.externals[static_cast<size_t>(offset)];
  }
  return nullptr;
}

void* Plan::address(ValueId value, const Buffers& buffers) const {
  return resolve(operands_[static_cast<size_t>(value)], buffers, 0);
}

void Plan::run_step(const Step& step, const Buffers& buffers, int sequences) const {
  std::array<void*, kMaxOperands> inputs, outputs;
  const Node& node = graph_.nodes()[step.node];
  const int together = node.op->joins_sequences ? sequences : 1;
  for (int sequence = 0; sequence < sequences; sequence += together) {
    for (size_t i = 0; i < node.inputs.size(); ++i) inputs[i] = resolve(step.inputs[i], buffers, sequence);
    for (size_t i = 0; i < node.outputs.size(); ++i) outputs[i] = resolve(step.outputs[i], buffers, sequence);
    void* workspace = resolve(step.workspace, buffers, 0);
    step.kernel({graph_, node, inputs.data(), outputs.data(), workspace, together});
  }
}

std::vector<std::string> Plan::slower_sizes() const {
  std::vector<std::string> list;
  for (const Node& node : graph_.nodes()) {
    const char* why = node.op->slower == nullptr ? nullptr : node.op->slower(graph_, node);
    if (why == nullptr) continue;
    std::string line = node.op->name;
    for (const ValueId input : std::span(node.inputs).first(std::min<size_t>(2, node.inputs.size())))
      if (input != kNoValue) line.append(1, ' ').append(to_string(graph_.value(input).shape));
    line.append(": ").append(why);
    if (std::find(list.begin(), list.end(), line) == list.end()) list.push_back(line);
  }
  return list;
}

std::string Plan::describe() const {
  std::string text;
  for (const Step& step : steps_) {
    const Node& node = graph_.nodes()[step.node];
    text += fmt::format("{:4} {}", step.node, graph_.describe(node));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (step.outputs[i].present && step.outputs[i].storage == Storage::kArena)
        text += fmt::format(" @{}", step.outputs[i].offset);
    }
    text += "\n";
  }
  return text + fmt::format("arena {} bytes, {:.6g} FLOP\n", arena_bytes_, graph_.flops());
}

}  // namespace flywheel::graph
