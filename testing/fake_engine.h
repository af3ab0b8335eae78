// Our own engine in virtual time: testing/fake_runner.h for the specs of recipe/run_spec.h.
#pragma once

#include <functional>
#include <string>

#include "recipe/run_spec.h"
#include "testing/fake_runner.h"

namespace flywheel::testing {

class FakeEngine : public FakeRunner {
 public:
  explicit FakeEngine(Clock& clock, const scheduler::Resources& capacity = {.cores = 2}) : FakeRunner(clock, capacity) {
    fake_seconds_of = [this](const FakeSpec& spec) { return seconds_of(run_spec(spec.text)); };
    fake_bits_per_byte_of = [this](const FakeSpec& spec) { return bits_per_byte_of(run_spec(spec.text)); };
  }

  std::function<double(const recipe::RunSpec&)> seconds_of = [](const recipe::RunSpec&) { return 1.0; };
  std::function<double(const recipe::RunSpec&)> bits_per_byte_of = [](const recipe::RunSpec&) {
    return 2.0;
  };  // at the end

 protected:
  FakeSpec read_spec(const std::string& text) const override {
    const recipe::RunSpec run = run_spec(text);
    FakeSpec spec;
    spec.id = run.id;
    spec.steps = run.size.steps;
    spec.first_step = run.size.trunk_steps;
    spec.flops_per_token = count(run.recipe, run.size).flops_per_token;
    spec.tokens_before = [size = run.size](int64_t step) {
      return static_cast<double>(size.sequences_before(step) * size.context);
    };
    spec.branch = run.branch.filename().string();
    spec.keep_stable = run.keep_stable;
    if (run.stop_above) spec.stop = FakeSpec::Stop{run.stop_above->fraction, run.stop_above->bits_per_byte};
    spec.text = text;
    return spec;
  }

 private:
  static recipe::RunSpec run_spec(const std::string& text) {
    return recipe::run_spec_from_json(parse_json(text, "spec"), "spec");
  }
};

}  // namespace flywheel::testing
