// Executor: binds one thread's buffers to a program's plans and runs them.
#include <array>
#include <cstring>

#include "base/check.h"
#include "engine/graph/profile.h"
#include "engine/model/program.h"
#include "engine/tensor/arena.h"

namespace flywheel::model {

struct Executor::State {
  const Program::State* program = nullptr;
  bool training = false;
  tensor::Arena arena;
  graph::Buffers buffers;
  std::vector<std::array<void*, Slots::kNumber>> slots;  // of each sequence
  std::vector<uint16_t> padded;  // tokens of short windows, then zeros: causal, so they change nothing before them
  std::vector<int32_t> counts;
  float loss_scale = 1;

  size_t window() const { return static_cast<size_t>(program->size.context) + 1; }
  void bind(size_t sequence, const uint16_t* tokens, double* loss) {
    slots[sequence][Slots::kTokens] = const_cast<uint16_t*>(tokens);
    slots[sequence][Slots::kTargets] = const_cast<uint16_t*>(tokens + 1);
    slots[sequence][Slots::kLoss] = loss;
  }
  void check_count(size_t sequences) const {
    CHECK(sequences >= 1 && sequences <= slots.size(), "{} sequences, at most {}", sequences, slots.size());
  }
};

Executor::Executor(const Program& program, const PackedWeights& packed, const float* parameters, bool training)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  const Program::Memory memory = program.memory();
  const auto sequences = static_cast<size_t>(program.sequences());
  s.program = &program.state();
  s.training = training;
  s.arena = tensor::Arena(training ? memory.arena_bytes_train : memory.arena_bytes_eval);
  s.padded.resize(sequences * s.window());
  s.counts.resize(sequences);
  s.slots.resize(sequences);
  for (size_t i = 0; i < sequences; ++i) {
    s.slots[i][Slots::kLossScale] = &s.loss_scale;
    s.slots[i][Slots::kCount] = &s.counts[i];
  }
  s.buffers = {.arena = s.arena.data(),
               .parameters = parameters,
               .packed = packed.data(),
               .externals = {s.slots.front().data(), sequences * Slots::kNumber}};
}

Executor::~Executor() = default;

template <typename Observer>
void Executor::train_observed(std::span<const Tokens> sequences, float loss_scale, float* gradients, double* losses,
                              Observer&& observe) {
  State& s = *state_;
  CHECK(s.training);
  s.check_count(sequences.size());
  for (size_t i = 0; i < sequences.size(); ++i) {
    CHECK(sequences[i].size() == s.window(), "{} tokens, expected {}", sequences[i].size(), s.window());
    s.bind(i, sequences[i].data(), losses + i);
  }
  s.loss_scale = loss_scale;
  s.buffers.gradients = gradients;
  s.program->train->run_observed(s.buffers, static_cast<int>(sequences.size()), observe);
}

void Executor::train(std::span<const Tokens> sequences, float loss_scale, float* gradients, double* losses) {
  train_observed(sequences, loss_scale, gradients, losses, [](size_t) {});
}

void Executor::train_profiled(std::span<const Tokens> sequences, float loss_scale, float* gradients, double* losses,
                              graph::Profile& profile) {
  const graph::Plan& plan = *state_->program->train;
  const int count = static_cast<int>(sequences.size());
  train_observed(sequences, loss_scale, gradients, losses, [&](size_t step) { profile.observe(plan, step, count); });
}

void Executor::evaluate(std::span<const Tokens> windows, double* losses) {
  State& s = *state_;
  s.check_count(windows.size());
  for (size_t i = 0; i < windows.size(); ++i) {
    const Tokens window = windows[i];
    CHECK(window.size() >= 2 && window.size() <= s.window(), "{} tokens, at most {}", window.size(), s.window());
    s.counts[i] = static_cast<int32_t>(window.size()) - 1;
    s.bind(i, window.data(), losses + i);
    if (window.size() == s.window()) continue;
    uint16_t* padded = s.padded.data() + i * s.window();
    std::memcpy(padded, window.data(), window.size_bytes());
    s.bind(i, padded, losses + i);
  }
  s.program->eval->run(s.buffers, static_cast<int>(windows.size()));
}

}  // namespace flywheel::model
