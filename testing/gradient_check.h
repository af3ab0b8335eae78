// Finite-difference check of any graph fragment: the gradient that autodiff writes against central differences of the
// forward pass, along random directions of each input and parameter.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/fusion.h"
#include "engine/graph/graph.h"
#include "engine/graph/plan.h"
#include "engine/tensor/arena.h"

namespace flywheel::testing {

struct Fragment {
  std::string name;
  std::vector<tensor::Shape> inputs;      // float32 values, differentiated
  std::vector<tensor::Shape> parameters;  // float32, in the flat buffer; matrices may be packed
  // Builds from inputs and parameters; `tokens` (8) uint16 in [0, 4) is there for whoever wants it.
  std::function<graph::ValueId(graph::Graph&, const std::vector<graph::ValueId>& inputs,
                               const std::vector<graph::ValueId>& parameters, graph::ValueId tokens)>
      build;
};

// A fragment compiled as sum(output * weights), with random operands.
class FragmentRun {
 public:
  FragmentRun(const Fragment& fragment, bool fused, uint64_t seed) {
    graph::Graph g(&layout_);
    const graph::ValueId tokens = g.external("tokens", {8}, tensor::Dtype::kUint16);
    Rng rng(seed);
    for (int i = 0; i < 8; ++i) tokens_.push_back(static_cast<uint16_t>(rng.below(4)));
    std::vector<graph::ValueId> inputs, parameters;
    for (const tensor::Shape& shape : fragment.inputs) {
      inputs.push_back(g.external("input", shape, tensor::Dtype::kFloat32));
      operands_.push_back(draw(rng, shape.elements()));
    }
    int64_t offset = 0;
    for (const tensor::Shape& shape : fragment.parameters) {
      parameters.push_back(g.parameter("parameter", shape, offset));
      offsets_.push_back(offset);
      sizes_.push_back(shape.elements());
      offset += tensor::align_up(shape.elements(), 16);
    }
    flat_ = draw(rng, std::max<int64_t>(offset, 1));
    output_ = fragment.build(g, inputs, parameters, tokens);
    output_elements_ = g.value(output_).shape.elements();
    seed_ = draw(rng, output_elements_);
    const graph::ValueId seed_value = g.external("seed", g.value(output_).shape, tensor::Dtype::kFloat32);
    g.keep(output_);
    const std::vector<std::pair<graph::ValueId, graph::ValueId>> seeds = {{output_, seed_value}};
    input_gradients_ = graph::differentiate(g, seeds, inputs);
    for (graph::ValueId id : input_gradients_) {
      if (id != graph::kNoValue) g.keep(id);
    }
    if (fused) graph::fuse(g);
    plan_ = std::make_unique<graph::Plan>(std::move(g), graph::Backend::kCpu);
    arena_ = tensor::Arena(plan_->arena_bytes());
    packed_ = tensor::Arena(layout_.bytes());
  }

  const graph::Plan& plan() const { return *plan_; }
  size_t operands() const { return operands_.size() + offsets_.size(); }

  // Runs; returns sum(output * weights) and leaves gradients for gradient().
  double run() {
    if (layout_.bytes() > 0) layout_.refresh(flat_.data(), packed_.data(), 0, 1);
    gradients_.assign(flat_.size(), 0.0f);
    slots_.assign(1, tokens_.data());
    for (auto& operand : operands_) slots_.push_back(operand.data());
    slots_.push_back(seed_.data());
    const graph::Buffers buffers = this->buffers();
    plan_->run(buffers);
    const float* output = static_cast<const float*>(plan_->address(output_, buffers));
    double sum = 0;
    for (int64_t i = 0; i < output_elements_; ++i) sum += double{output[i]} * seed_[static_cast<size_t>(i)];
    return sum;
  }
  // Of operand k (inputs first, then parameters), after run().
  std::vector<float> gradient(size_t k) {
    if (k < operands_.size()) {
      const auto* data = static_cast<const float*>(plan_->address(input_gradients_[k], buffers()));
      return {data, data + operands_[k].size()};
    }
    const auto begin = gradients_.begin() + offsets_[k - operands_.size()];
    return {begin, begin + sizes_[k - operands_.size()]};
  }
  float* operand(size_t k) {
    return k < operands_.size() ? operands_[k].data() : flat_.data() + offsets_[k - operands_.size()];
  }

 private:
  static std::vector<float> draw(Rng& rng, int64_t n) {
    std::vector<float> values(static_cast<size_t>(n));
    for (float& v : values) v = static_cast<float>(rng.normal());
    return values;
  }
  graph::Buffers buffers() {
    return {.arena = arena_.data(),
            .parameters = flat_.data(),
            .gradients = gradients_.data(),
            .packed = packed_.data(),
            .externals = slots_};
  }

  graph::PackedLayout layout_;
  std::unique_ptr<graph::Plan> plan_;
  tensor::Arena arena_, packed_;
  std::vector<uint16_t> tokens_;
  std::vector<std::vector<float>> operands_;
  std::vector<int64_t> offsets_, sizes_;
  std::vector<float> flat_, gradients_, seed_;
  std::vector<void*> slots_;
  std::vector<graph::ValueId> input_gradients_;
  graph::ValueId output_ = graph::kNoValue;
  int64_t output_elements_ = 0;
};

// Richardson-extrapolated central differences in float32: rounding of sums near 10 over steps of 1e-2 leaves about
// 1e-3.
inline void check_gradients(const Fragment& fragment, bool fused, uint64_t seed, double tolerance = 3e-3) {
  SCOPED_TRACE(fragment.name + (fused ? ", fused" : "") + ", seed " + std::to_string(seed));
  FragmentRun run(fragment, fused, seed);
  run.run();
  std::vector<std::vector<float>> gradients;
  for (size_t k = 0; k < run.operands(); ++k) gradients.push_back(run.gradient(k));
  Rng rng(seed, 3);
  for (size_t k = 0; k < run.operands(); ++k) {
    const size_t n = gradients[k].size();
    const std::vector<float> start(run.operand(k), run.operand(k) + n);
    std::vector<double> direction(n);
    double length = 0, expected = 0, size = 0;
    for (double& d : direction) {
      d = rng.normal();
      length += d * d;
    }
    for (size_t i = 0; i < n; ++i) {
      direction[i] /= std::sqrt(length);
      expected += direction[i] * gradients[k][i];
      size += double{gradients[k][i]} * gradients[k][i];
    }
    const auto moved = [&](double step) {
      for (size_t i = 0; i < n; ++i) run.operand(k)[i] = static_cast<float>(start[i] + step * direction[i]);
      return run.run();
    };
    const auto slope = [&](double step) { return (moved(step) - moved(-step)) / (2 * step); };
    const double measured = (4 * slope(5e-3) - slope(1e-2)) / 3;
    std::copy(start.begin(), start.end(), run.operand(k));
    EXPECT_NEAR(measured, expected, tolerance * (1 + std::sqrt(size))) << "operand " << k;
    EXPECT_GT(size, 0) << "operand " << k;
  }
}

}  // namespace flywheel::testing
