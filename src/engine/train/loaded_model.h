// A model ready to run on a team of threads: program, flat and packed weights, and one executor per thread. Shared by
// training, evaluation and sampling.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "engine/data/segments.h"
#include "engine/model/model.h"
#include "engine/tensor/arena.h"
#include "engine/train/sample_loss.h"
#include "recipe/run_spec.h"

namespace flywheel::train {

// How many sequences a thread runs through the graph at once. Short sequences are grouped, so that matrix products have
// enough rows to be fast. The same in every run of a size.
int sequences_at_once(const recipe::Size& size, tensor::Dtype dtype, int threads);

// Used from one thread; it drives its own team.
class LoadedModel {
 public:
  enum class Purpose { kTraining, kInference };
  LoadedModel(const recipe::Recipe& recipe, const recipe::Size& size, tensor::Dtype dtype, int threads,
              Purpose purpose);

  const model::Program& program() const { return program_; }
  std::span<float> parameters() {
    return {reinterpret_cast<float*>(parameters_.data()), static_cast<size_t>(program_.parameter_elements())};
  }
  // Normal draws from streams that belong to the parameters' names: the same for every size of a family that shares a
  // parameter's shape, whatever else is there.
  void initialise(uint64_t seed);
  // Call after any change of the parameters.
  void refresh();

  ThreadPool& team() { return team_; }
  int threads() const { return team_.threads(); }
  model::Executor& executor(int thread) { return *executors_[static_cast<size_t>(thread)]; }
  model::PackedWeights& packed() { return packed_; }

  // Forward only, all threads; the sums are taken in the order of the list, so that they depend on no number of
  // threads.
  SampleLoss evaluate(const data::EvalSample& sample);

 private:
  model::Program program_;
  tensor::Arena parameters_;
  model::PackedWeights packed_;
  ThreadPool team_;
  std::vector<std::unique_ptr<model::Executor>> executors_;
};

}  // namespace flywheel::train
