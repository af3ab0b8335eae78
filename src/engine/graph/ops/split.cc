#include "engine/graph/ops/split.h"

#include <cstring>

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"

namespace flywheel::graph {
namespace {

struct SplitAttributes {
  std::array<int32_t, 8> widths{};
  int32_t parts = 0;
};

// Input: x. Outputs: the parts.
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const Value& x = graph.value(node.inputs[0]);
  const auto a = node.attributes.as<SplitAttributes>();
  std::vector<TensorType> types;
  int64_t sum = 0;
  for (int32_t part = 0; part < a.parts; ++part) {
    const int64_t width = a.widths[static_cast<size_t>(part)];
    types.push_back({tensor::Shape{x.shape[0], width}, x.dtype});
    sum += width;
  }
  CHECK(sum == x.shape[1], "{}", graph.describe(node));
  return types;
}

void vjp(Backward& backward, const Node& node) {
  std::vector<ValueId> gradients;
  for (ValueId part : node.outputs) gradients.push_back(backward.gradient(part));
  const Value& x = backward.graph.value(node.inputs[0]);
  for (ValueId gradient : gradients) {
    CHECK(gradient == kNoValue || backward.graph.value(gradient).dtype == x.dtype, "gradient of {}", x.name);
  }
  backward.add_gradient(node.inputs[0], backward.graph.append(kJoin, std::move(gradients), node.attributes)[0]);
}

// Copies columns between a whole row-major matrix and its parts; a null part is zeros.
template <typename Copy>
void for_each_part(const SplitAttributes& a, int64_t rows, int64_t element_bytes, Copy&& copy) {
  int64_t row_bytes = 0, at = 0;
  for (int32_t part = 0; part < a.parts; ++part) row_bytes += a.widths[static_cast<size_t>(part)] * element_bytes;
  for (int32_t part = 0; part < a.parts; ++part) {
    const int64_t bytes = a.widths[static_cast<size_t>(part)] * element_bytes;
    for (int64_t row = 0; row < rows; ++row)
      copy(static_cast<size_t>(part), row * row_bytes + at, row * bytes, static_cast<size_t>(bytes));
    at += bytes;
  }
}

void run_cpu(const KernelArguments& a) {
  const Value& x = a.in_value(0);
  for_each_part(a.node.attributes.as<SplitAttributes>(), x.shape[0], tensor::dtype_bytes(x.dtype),
                [&](size_t part, int64_t whole, int64_t piece, size_t bytes) {
                  std::memcpy(a.out<char>(part) + piece, a.in<char>(0) + whole, bytes);
                });
}

// Inputs: gradients of the parts, or none. Output: that of the whole.
std::vector<TensorType> infer_join(const Graph& graph, const Node& node) {
  const auto a = node.attributes.as<SplitAttributes>();
  int64_t width = 0;
  for (int32_t part = 0; part < a.parts; ++part) width += a.widths[static_cast<size_t>(part)];
  for (ValueId part : node.inputs) {
    if (part == kNoValue) continue;
    return {{tensor::Shape{graph.value(part).shape[0], width}, graph.value(part).dtype}};
  }
  CHECK(false, "a join of nothing");
  return {};
}

void run_join_cpu(const KernelArguments& a) {
  const Value& whole = a.out_value(0);
  for_each_part(a.node.attributes.as<SplitAttributes>(), whole.shape[0], tensor::dtype_bytes(whole.dtype),
                [&](size_t part, int64_t at, int64_t piece, size_t bytes) {
                  if (a.inputs[part] == nullptr) {
                    std::memset(a.out<char>(0) + at, 0, bytes);
                  } else {
                    std::memcpy(a.out<char>(0) + at, a.in<char>(part) + piece, bytes);
                  }
                });
}

}  // namespace

const Op kSplit{.name = "split", .infer = infer, .vjp = vjp, .kernels = {run_cpu}};
const Op kJoin{.name = "join", .infer = infer_join, .vjp = nullptr, .kernels = {run_join_cpu}};

std::vector<ValueId> split(Graph& graph, ValueId x, std::initializer_list<int64_t> widths) {
  SplitAttributes attributes;
  for (const int64_t width : widths)
    attributes.widths[static_cast<size_t>(attributes.parts++)] = static_cast<int32_t>(width);
  return graph.append(kSplit, {x}, Attributes::of(attributes));
}

}  // namespace flywheel::graph
