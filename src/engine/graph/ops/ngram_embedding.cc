#include "engine/graph/ops/ngram_embedding.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/op.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/ngrams.h"

namespace flywheel::graph {
namespace {

constexpr int kLongest = 8;

// Inputs: tokens, table, history?, position?, accumulate?. Output: x (+ accumulate).
std::vector<TensorType> infer(const Graph& graph, const Node& node) {
  const tensor::Shape &tokens = graph.value(node.inputs[0]).shape, &table = graph.value(node.inputs[1]).shape;
  const int n = node.attributes.as<int>();
  CHECK(n >= 2 && n <= kLongest && (node.inputs[2] == kNoValue) == (node.inputs[3] == kNoValue), "{}",
        graph.describe(node));
  CHECK(node.inputs[2] == kNoValue || (tokens[0] == 1 && graph.value(node.inputs[2]).storage == Storage::kState &&
                                       graph.value(node.inputs[2]).shape == tensor::Shape{n - 1}),
        "{}", graph.describe(node));
  return {{tensor::Shape{tokens[0], table[1]}, tensor::Dtype::kFloat32}};
}

void vjp(Backward& backward, const Node& node) {
  backward.graph.append(kNgramEmbeddingBackward, {node.inputs[0], backward.gradient(node.outputs[0])}, node.attributes,
                        {backward.parameter_gradient(node.inputs[1])});
}

void run_cpu(const KernelArguments& a) {
  const tensor::Shape &x = a.out_value(0).shape, &table = a.in_value(1).shape;
  const int n = a.node.attributes.as<int>();
  float* to = a.out<float>(0);
  if (a.inputs[4] == nullptr) {
    kernels::fill(to, 0, x.elements());
  } else if (a.inputs[4] != to) {
    std::memcpy(to, a.inputs[4], static_cast<size_t>(x.elements()) * sizeof(float));
  }
  if (a.inputs[2] == nullptr) {
    return kernels::ngram_forward(a.in<uint16_t>(0), n, a.in<float>(1), table[0], x[0], x[1], to);
  }
  // The history's last tokens, as far as the text reaches back, and this one.
  auto* history = static_cast<uint16_t*>(a.inputs[2]);
  const int64_t before = std::min<int64_t>(n - 1, *a.in<int32_t>(3));
  std::array<uint16_t, kLongest> text;
  std::copy_n(history + (n - 1 - before), before, text.begin());
  text[static_cast<size_t>(before)] = *a.in<uint16_t>(0);
  kernels::add(a.in<float>(1) + kernels::ngram_row(text.data(), before, n, table[0]) * x[1], to, x[1]);
  std::copy(history + 1, history + n - 1, history);
  history[n - 2] = *a.in<uint16_t>(0);
}

// Inputs: tokens, dx. Output: gradient of the table, added to.
std::vector<TensorType> infer_backward(const Graph&, const Node&) {
  return {};
}

void run_backward_cpu(const KernelArguments& a) {
  const tensor::Shape& x = a.in_value(1).shape;
  kernels::ngram_backward(a.in<uint16_t>(0), a.node.attributes.as<int>(), a.in<float>(1), a.out_value(0).shape[0], x[0],
                          x[1], a.out<float>(0));
}

}  // namespace

const Op kNgramEmbedding{.name = "ngram_embedding",
                         .infer = infer,
                         .vjp = vjp,
                         .in_place = {4},
                         .accumulate_input = 4,
                         .kernels = {run_cpu}};
const Op kNgramEmbeddingBackward{
    .name = "ngram_embedding_backward", .infer = infer_backward, .vjp = nullptr, .kernels = {run_backward_cpu}};

ValueId ngram_embedding(Graph& graph, ValueId tokens, ValueId table, int n, ValueId history, ValueId position) {
  return graph.append(kNgramEmbedding, {tokens, table, history, position, kNoValue}, Attributes::of(n))[0];
}

}  // namespace flywheel::graph
