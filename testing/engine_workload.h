// The engine's workload without its processes: evaluations and samples are synthetic, memory is small.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "workload/flywheel/flywheel_workload.h"
#include "workload/flywheel/recipe_configuration.h"

namespace flywheel::testing {

class EngineWorkload : public workload::FlywheelWorkload {
 public:
  explicit EngineWorkload(Path corpus = "/corpus")
      : FlywheelWorkload({.corpus = std::move(corpus),
                          .predict_memory_bytes = [](const recipe::RunSpec&) { return uint64_t{1} << 20; }}) {}

  std::function<double(const Path&, protocol::Split)> bits_per_byte_of = [](const Path&, protocol::Split) {
    return 1.5;
  };
  // What an evaluation says of each document; none: not known.
  std::function<std::vector<workload::Evaluation::Document>(const Path&, protocol::Split)> documents_of =
      [](const Path&, protocol::Split) { return std::vector<workload::Evaluation::Document>(); };
  std::map<std::string, int> evaluations;  // by split
  std::string text;                        // which lists of segments there are; empty: none
  std::vector<protocol::Split> judged_on = FlywheelWorkload::splits();

  std::optional<double> without_context;  // the loss of a model without context; empty: not known

  std::vector<protocol::Split> splits() const override { return judged_on; }
  std::optional<double> context_free_loss(protocol::Split) const override { return without_context; }

  std::string segments(protocol::Split split, int64_t tokens) const override {
    return text.empty() ? "" : fmt::format("{}-{}-{}", text, protocol::name(split), tokens);
  }
  workload::Evaluation evaluate(const Path& run, protocol::Split split, int64_t tokens) override {
    ++evaluations[std::string(protocol::name(split))];
    return {.loss = 1.0,
            .bits_per_byte = bits_per_byte_of(run, split),
            .tokens = tokens,
            .segments = segments(split, tokens),
            .bytes = {},
            .documents = {},
            .sampling = {},
            .flops = evaluation_flops(run, tokens),
            .by_document = documents_of(run, split)};
  }
  std::string sample(const Path&, int) override { return "int main() {}"; }
};

}  // namespace flywheel::testing
