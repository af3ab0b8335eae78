// Executor: binds one thread's buffers to a program's plans and runs them.
#include <array>
#include <cstring>

#include "base/check.h"
#include "graph/profile.h"
#include "model/program.h"
#include "tensor/arena.h"

namespace flywheel::model {

struct Executor::State {
  const Program::State* program = nullptr;
  bool training = false;
  Arena arena;
  graph::Buffers buffers;
  std::array<void*, Slots::kNumber> slots{};
  std::vector<uint16_t> padded;  // tokens of a short window, then zeros: causal, so they change nothing before them
  float loss_scale = 1;
  int32_t count = 0;
  double loss = 0;

  size_t context() const { return static_cast<size_t>(program->size.context); }
  void bind(const uint16_t* tokens, const uint16_t* targets) {
    slots[Slots::kTokens] = const_cast<uint16_t*>(tokens);
    slots[Slots::kTargets] = const_cast<uint16_t*>(targets);
  }
};

Executor::Executor(const Program& program, const PackedWeights& packed, const float* parameters, bool training)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  const Program::Memory memory = program.memory();
  s.program = &program.state();
  s.training = training;
  s.arena = Arena(training ? memory.arena_bytes_train : memory.arena_bytes_eval);
  s.padded.resize(s.context() + 1);
  s.slots[Slots::kLossScale] = &s.loss_scale;
  s.slots[Slots::kCount] = &s.count;
  s.slots[Slots::kLoss] = &s.loss;
  s.buffers = {.arena = s.arena.data(), .parameters = parameters, .packed = packed.data(), .externals = s.slots};
}

Executor::~Executor() = default;

template <typename Observer>
double Executor::train_observed(std::span<const uint16_t> tokens, float loss_scale, float* gradients,
                                Observer&& observe) {
  State& s = *state_;
  CHECK(s.training && tokens.size() == s.context() + 1, "{} tokens for a context of {}", tokens.size(), s.context());
  s.bind(tokens.data(), tokens.data() + 1);
  s.loss_scale = loss_scale;
  s.buffers.gradients = gradients;
  s.program->train->run_observed(s.buffers, observe);
  return s.loss;
}

double Executor::train_sequence(std::span<const uint16_t> tokens, float loss_scale, float* gradients) {
  return train_observed(tokens, loss_scale, gradients, [](size_t) {});
}

double Executor::train_sequence_profiled(std::span<const uint16_t> tokens, float loss_scale, float* gradients,
                                         graph::Profile& profile) {
  const graph::Plan& plan = *state_->program->train;
  return train_observed(tokens, loss_scale, gradients, [&](size_t step) { profile.observe(plan, step); });
}

double Executor::eval_sequence(std::span<const uint16_t> tokens) {
  State& s = *state_;
  if (tokens.size() < 2) return 0;  // nothing to predict
  CHECK(tokens.size() <= s.context() + 1, "{} tokens for a context of {}", tokens.size(), s.context());
  s.bind(tokens.data(), tokens.data() + 1);
  if (tokens.size() < s.context() + 1) {
    std::memcpy(s.padded.data(), tokens.data(), tokens.size_bytes());
    s.bind(s.padded.data(), s.padded.data() + 1);
  }
  s.count = static_cast<int32_t>(tokens.size()) - 1;
  s.program->eval->run(s.buffers);
  return s.loss;
}

}  // namespace flywheel::model
