// Losses and gradients against a trace that an independent implementation recorded (testing/golden/gpt_trace.py).
#include <gtest/gtest.h>

#include "testing/golden/attention_trace.h"
#include "testing/golden/gpt_trace.h"
#include "testing/golden/mixer_trace.h"
#include "testing/golden/stream_trace.h"
#include "testing/small_model.h"

namespace flywheel::model {
namespace {

// gpt_trace.py's formula(index, count, scale), element i.
double formula(size_t index, int64_t i, double scale) {
  const double which = static_cast<double>(index);
  return scale * std::sin(0.7 * static_cast<double>(i + 1) * (1 + 0.01 * which) + 1.3 * which);
}

std::vector<testing::golden::Trace> all_traces() {
  std::vector<testing::golden::Trace> traces;
  for (const auto& group : {testing::golden::gpt_traces(), testing::golden::attention_traces(),
                            testing::golden::mixer_traces(), testing::golden::stream_traces()})
    traces.insert(traces.end(), group.begin(), group.end());
  return traces;
}

TEST(Golden, LossesAndGradientsAreThoseOfPyTorch) {
  for (const testing::golden::Trace& trace : all_traces()) {
    const testing::SmallModel m = testing::patched_model(trace.patches);
    SCOPED_TRACE(describe(m));
    const Program program(m.recipe, m.size, tensor::Dtype::kFloat32);
    ASSERT_EQ(program.parameters().size(), trace.gradients.size());
    std::vector<float> parameters(static_cast<size_t>(program.parameter_elements()));
    for (size_t k = 0; k < trace.gradients.size(); ++k) {
      const ParameterInfo& p = program.parameters()[k];
      ASSERT_EQ(p.name, trace.gradients[k].parameter);
      for (int64_t i = 0; i < p.shape.elements(); ++i) {
        parameters[static_cast<size_t>(p.offset + i)] = static_cast<float>(p.initial_value + formula(k, i, 0.3));
      }
    }
    std::vector<uint16_t> tokens;
    for (int i = 0; i <= m.size.context; ++i) {
      tokens.push_back(static_cast<uint16_t>((7 * i * i + 3 * i + 2) % m.size.vocabulary));
    }
    const auto found = testing::loss_and_gradient(program, parameters, tokens);
    EXPECT_NEAR(found.loss / trace.loss, 1, 1e-5);
    EXPECT_NEAR(testing::loss_only(program, parameters, tokens) / trace.loss, 1, 1e-5);
    for (size_t k = 0; k < trace.gradients.size(); ++k) {
      const testing::golden::Gradient& expected = trace.gradients[k];
      const ParameterInfo& p = program.parameters()[k];
      const float* gradient = found.gradient.data() + p.offset;
      double squares = 0, projection = 0;
      for (int64_t i = 0; i < p.shape.elements(); ++i) {
        squares += double{gradient[i]} * gradient[i];
        projection += gradient[i] * formula(50, i, 1);
      }
      // Float32 against float64; where the parts of a gradient cancel (streams that are still equal, of which the norm
      // takes the length away) their rounding remains. Norms of whole gradients are around 10.
      const double tolerance = 1e-4 * expected.norm + 2e-6;
      EXPECT_NEAR(std::sqrt(squares), expected.norm, tolerance) << p.name;
      EXPECT_NEAR(projection, expected.projection, tolerance) << p.name;
      for (size_t i = 0; i < expected.first.size() && i < static_cast<size_t>(p.shape.elements()); ++i)
        EXPECT_NEAR(gradient[i], expected.first[i], tolerance) << p.name;
    }
  }
}

}  // namespace
}  // namespace flywheel::model
