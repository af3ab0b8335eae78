// From recipe and size to compiled programs: the trainer's interface to the engine below it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "engine/tensor/arena.h"
#include "engine/tensor/tensor.h"
#include "recipe/recipe.h"
#include "recipe/size.h"

namespace flywheel::graph {
class PackedLayout;
class Profile;
}  // namespace flywheel::graph

namespace flywheel::model {

// What decides learning rate, initialisation and optimizer of a parameter.
// kBalance: experts' biases, which follow the sign of their "gradient" and no optimizer (model.expert_balance_rate a
// step); that gradient is too small to be seen in the gradient norm.
enum class ParameterGroup : uint8_t { kMatrix, kEmbedding, kHead, kVector, kBalance };

struct ParameterInfo {
  std::string name;     // "blocks.3.attention.qkv", stable: used by checkpoints and exports
  tensor::Shape shape;  // matrices are (out, in), stacks of them (count, out, in)
  // Rows of the matrices that one parameter holds, one after the other and each with all columns, as in queries, keys
  // and values: optimizers that look at whole matrices take it apart. Of each of a stack; empty: it is one.
  std::vector<int64_t> parts{};
  ParameterGroup group = ParameterGroup::kMatrix;
  double initial_sd = 0;                                        // normal; 0 with initial_value
  double initial_value = 0;                                     // norms' gains: 1
  std::function<double(Rng&, int64_t element)> initial_rule{};  // instead of both, where a paper has one
  int ngram = 0;       // of a table that hashed n-grams look rows up in: their length; otherwise 0
  int64_t offset = 0;  // in elements, in the flat float32 parameter buffer (64-byte aligned)
};

// All parameters of a recipe at a size, as a Program has them, without its plans. Throws kBadInput as a Program does.
std::vector<ParameterInfo> parameters_of(const recipe::Recipe& recipe, const recipe::Size& size);

// Where `element` of a parameter starts; `rng` is the parameter's own.
double initial_element(const ParameterInfo& parameter, Rng& rng, int64_t element);

// A recipe at a size, compiled: parameters, the static graphs for training and evaluation, their memory plans.
// Immutable, shared between threads. Throws kBadInput when no kernel serves an op or a size.
class Program {
 public:
  enum class Fusion : uint8_t { kOn, kOff };  // off: to test and to measure what fusion does
  // `sequences`: how many executors may take through the graphs at once.
  Program(const recipe::Recipe& recipe, const recipe::Size& size, tensor::Dtype compute_dtype, int sequences = 1,
          Fusion fusion = Fusion::kOn);
  ~Program();
  std::span<const ParameterInfo> parameters() const;
  int64_t parameter_elements() const;  // of the flat buffer, padding included
  tensor::Dtype compute_dtype() const;
  int sequences() const;
  const recipe::Size& size() const;

  struct Memory {
    int64_t arena_bytes_train = 0, arena_bytes_eval = 0;  // per thread
    int64_t packed_bytes = 0;                             // once
  };
  Memory memory() const;
  // Model FLOPs of one sequence, summed over the graph's ops: equal to count() of recipe/size.h times the context.
  double train_flops() const;
  double eval_flops() const;
  // Of training, the ops whose sizes no kernel serves fast, and why: for people.
  std::vector<std::string> slower_sizes() const;
  // One line per op in order, with shapes, dtypes and offsets: for people and tests.
  std::string describe() const;

  struct State;
  const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

// Weights in the form that matrix products want, refreshed once per step from the flat float32 buffer.
class PackedWeights {
 public:
  explicit PackedWeights(const Program& program);  // the program must outlive it
  // Each of `threads` threads calls it with its own index; together they refresh everything.
  void refresh(const float* parameters, int thread, int threads);
  const std::byte* data() const { return memory_.data(); }

 private:
  const graph::PackedLayout* layout_;
  tensor::Arena memory_;
};

// Runs some sequences at a time through the whole graph. One per thread; no allocation after construction.
class Executor {
 public:
  // parameters: the flat float32 buffer (vectors and tables are read from it), alive as long as this, as are program
  // and packed. An evaluating executor has a smaller arena and may not train.
  Executor(const Program& program, const PackedWeights& packed, const float* parameters, bool training);
  ~Executor();
  using Tokens = std::span<const uint16_t>;
  // Forward and backward over 1 to program.sequences() sequences of context + 1 tokens. Adds loss_scale * d(sum of
  // losses) to `gradients` (flat, as the parameters). losses: of each sequence, the sum over its tokens in nats
  // (unscaled).
  void train(std::span<const Tokens> sequences, float loss_scale, float* gradients, double* losses);
  // The same, adding the time of each op to `profile`.
  void train_profiled(std::span<const Tokens> sequences, float loss_scale, float* gradients, double* losses,
                      graph::Profile& profile);
  // Of each window of 2 to context + 1 tokens, the losses in nats of its last `scored[i]` targets: in order, one window
  // after the other. A loss does not depend on the other windows.
  void score(std::span<const Tokens> windows, std::span<const int32_t> scored, double* losses);
  // Of each window, the sum over all its targets.
  void evaluate(std::span<const Tokens> windows, double* losses);

  // Of one sequence.
  double train_sequence(Tokens tokens, float loss_scale, float* gradients) {
    double loss = 0;
    train({&tokens, 1}, loss_scale, gradients, &loss);
    return loss;
  }
  double eval_sequence(Tokens window) {
    if (window.size() < 2) return 0;  // nothing to predict
    double loss = 0;
    evaluate({&window, 1}, &loss);
    return loss;
  }

 private:
  struct State;
  template <typename Observer>
  void train_observed(std::span<const Tokens> sequences, float loss_scale, float* gradients, double* losses,
                      Observer&& observe);
  std::unique_ptr<State> state_;
};

// One text, a token at a time: the model in its recurrent form, which gives the numbers of the parallel one. Keys and
// values, or recurrent states, of the tokens so far are kept.
class Generation {
 public:
  // program, packed and parameters must outlive it. Throws as Program does.
  Generation(const Program& program, const PackedWeights& packed, const float* parameters);
  ~Generation();
  // Forgets everything.
  void reset();
  // Takes the next token, and gives the logits (V) of the one that follows. REQUIRES position() < context.
  std::span<const float> next(uint16_t token);
  int64_t position() const;  // tokens taken since the last reset

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flywheel::model
