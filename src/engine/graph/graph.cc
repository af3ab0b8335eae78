#include "engine/graph/graph.h"

#include <utility>

#include "base/check.h"
#include "engine/graph/op.h"
#include "engine/tensor/arena.h"

namespace flywheel::graph {
namespace {

const char* dtype_name(tensor::Dtype dtype) {
  switch (dtype) {
    case tensor::Dtype::kFloat32:
      return "f32";
    case tensor::Dtype::kBfloat16:
      return "bf16";
    case tensor::Dtype::kInt32:
      return "i32";
    case tensor::Dtype::kUint16:
      return "u16";
  }
  return "?";
}

}  // namespace

const char* backend_name(Backend) {
  return "cpu";
}

ValueId Graph::push(Value value) {
  values_.push_back(std::move(value));
  return static_cast<ValueId>(values_.size()) - 1;
}

ValueId Graph::external(std::string name, tensor::Shape shape, tensor::Dtype dtype) {
  return push(
      {.name = std::move(name), .shape = shape, .dtype = dtype, .storage = Storage::kExternal, .offset = externals_++});
}

ValueId Graph::parameter(std::string name, tensor::Shape shape, int64_t offset_elements) {
  return push({.name = std::move(name), .shape = shape, .storage = Storage::kParameter, .offset = offset_elements});
}

ValueId Graph::parameter_gradient(ValueId parameter) {
  CHECK(value(parameter).storage == Storage::kParameter);
  for (size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].storage == Storage::kParameterGradient && values_[i].parameter == parameter)
      return static_cast<ValueId>(i);
  }
  const Value& of = value(parameter);
  return push({.name = "d(" + of.name + ")",
               .shape = of.shape,
               .storage = Storage::kParameterGradient,
               .offset = of.offset,
               .parameter = parameter});
}

ValueId Graph::packed(ValueId parameter, bool transposed, tensor::Dtype dtype) {
  CHECK(value(parameter).storage == Storage::kParameter);
  for (size_t i = 0; i < values_.size(); ++i) {
    const Value& v = values_[i];
    if (v.storage == Storage::kPacked && v.parameter == parameter && v.transposed == transposed && v.dtype == dtype) {
      return static_cast<ValueId>(i);
    }
  }
  const Value& of = value(parameter);
  return push({.name = of.name + (transposed ? ".packed_transposed" : ".packed"),
               .shape = of.shape,
               .dtype = dtype,
               .storage = Storage::kPacked,
               .offset = packed_layout_->place(of.offset, of.shape, transposed, dtype),
               .parameter = parameter,
               .transposed = transposed});
}

ValueId Graph::constant(std::string name, tensor::Shape shape, std::vector<float> elements) {
  CHECK(static_cast<int64_t>(elements.size()) == shape.elements());
  constants_.push_back(std::move(elements));
  return push({.name = std::move(name),
               .shape = shape,
               .storage = Storage::kConstant,
               .offset = static_cast<int64_t>(constants_.size()) - 1});
}

ValueId Graph::state(std::string name, tensor::Shape shape, tensor::Dtype dtype) {
  const int64_t offset = state_bytes_;
  state_bytes_ += tensor::align_up(shape.elements() * tensor::dtype_bytes(dtype));
  return push({.name = std::move(name), .shape = shape, .dtype = dtype, .storage = Storage::kState, .offset = offset});
}

std::vector<ValueId> Graph::append(const Op& op, std::vector<ValueId> inputs, const Attributes& attributes,
                                   std::vector<ValueId> gradients) {
  Node node{&op, std::move(inputs), {}, attributes};
  for (const TensorType& type : op.infer(*this, node)) {
    node.outputs.push_back(push({.name = op.name, .shape = type.shape, .dtype = type.dtype}));
  }
  for (ValueId gradient : gradients) {
    CHECK(gradient == kNoValue || value(gradient).storage == Storage::kParameterGradient);
    node.outputs.push_back(gradient);
  }
  nodes_.push_back(node);
  return node.outputs;
}

void Graph::compact() {
  std::erase_if(nodes_, [](const Node& node) { return node.op == nullptr; });
}

double Graph::flops() const {
  double sum = 0;
  for (const Node& node : nodes_) {
    if (node.op->flops != nullptr) sum += node.op->flops(*this, node);
  }
  return sum;
}

std::string Graph::describe(const Node& node) const {
  const auto operands = [&](const std::vector<ValueId>& ids) {
    std::string text;
    for (ValueId id : ids) {
      if (!text.empty()) text += ", ";
      text += id == kNoValue ? "-"
                             : fmt::format("%{} {} {} {}", id, value(id).name, dtype_name(value(id).dtype),
                                           to_string(value(id).shape));
    }
    return text;
  };
  return fmt::format("{}: {} <- {}", node.op->name, operands(node.outputs), operands(node.inputs));
}

Uses::Uses(const Graph& graph) : readers(graph.values().size()), producer(graph.values().size(), -1) {
  const std::span<const Node> nodes = graph.nodes();
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].op == nullptr) continue;
    for (ValueId id : nodes[i].inputs) {
      if (id != kNoValue) readers[static_cast<size_t>(id)].push_back(static_cast<int>(i));
    }
    for (ValueId id : nodes[i].outputs) {
      if (id != kNoValue) producer[static_cast<size_t>(id)] = static_cast<int>(i);
    }
  }
}

}  // namespace flywheel::graph
