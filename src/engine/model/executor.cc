// Executor: binds one thread's buffers to a program's plans and runs them.
#include <array>
#include <cstring>
#include <numeric>

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
  std::vector<std::array<int32_t, 2>> rows;  // of each sequence: the first token that counts, and the end
  std::vector<double> all_losses;            // of all sequences' targets
  std::vector<int32_t> all_targets;          // how many each has
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
  s.rows.resize(sequences);
  s.all_losses.resize(sequences * static_cast<size_t>(s.program->size.context));
  s.all_targets.resize(sequences);
  s.slots.resize(sequences);
  for (size_t i = 0; i < sequences; ++i) {
    s.slots[i][Slots::kLossScale] = &s.loss_scale;
    s.slots[i][Slots::kRows] = s.rows[i].data();
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
  for (size_t i = 0; i < windows.size(); ++i) s.all_targets[i] = static_cast<int32_t>(windows[i].size()) - 1;
  score(windows, std::span(s.all_targets).first(windows.size()), s.all_losses.data());
  const double* of_window = s.all_losses.data();
  for (size_t i = 0; i < windows.size(); of_window += s.all_targets[i++])
    losses[i] = std::accumulate(of_window, of_window + s.all_targets[i], 0.0);
}

void Executor::score(std::span<const Tokens> windows, std::span<const int32_t> scored, double* losses) {
  State& s = *state_;
  s.check_count(windows.size());
  CHECK(scored.size() == windows.size());
  for (size_t i = 0; i < windows.size(); ++i) {
    const Tokens window = windows[i];
    CHECK(window.size() >= 2 && window.size() <= s.window(), "{} tokens, at most {}", window.size(), s.window());
    const auto targets = static_cast<int32_t>(window.size()) - 1;
    CHECK(scored[i] >= 1 && scored[i] <= targets, "{} of {} targets", scored[i], targets);
    s.rows[i] = {targets - scored[i], targets};
    uint16_t* padded = s.padded.data() + i * s.window();
    if (window.size() < s.window()) std::memcpy(padded, window.data(), window.size_bytes());
    s.bind(i, window.size() < s.window() ? padded : window.data(), losses);
    losses += scored[i];
  }
  s.program->eval->run(s.buffers, static_cast<int>(windows.size()));
}

}  // namespace flywheel::model
