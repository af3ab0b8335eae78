// Short runs in one process, for measurements that compare recipes: a model of a given width and depth, trained for
// some steps on a corpus folder.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/data/segments.h"
#include "engine/train/trainer.h"
#include "recipe/recipe.h"
#include "recipe/size.h"

namespace flywheel::bench {

struct ShortRun {
  int width = 64, layers = 2;
  int64_t steps = 150;
  int batch_sequences = 8;
  tensor::Dtype dtype = tensor::Dtype::kFloat32;
  uint64_t seed = 1;
  double other_rate = 0;  // learning rate of all but the matrices in blocks; 0: the recipe's
};

inline recipe::Size size_of(const recipe::Recipe& recipe, const ShortRun& run) {
  // The family's own rules, with the depth set by the aspect.
  const recipe::Recipe shaped =
      recipe::apply_patch(recipe, "model.aspect=" + std::to_string(double(run.width) / run.layers));
  const std::vector<recipe::Size> sizes = family(shaped, 1, 1e9);
  recipe::Size size;
  for (const recipe::Size& candidate : sizes)
    if (candidate.width == run.width) size = candidate;
  if (size.width != run.width) throw_bad_input("width {} is not in the recipe's family of sizes", run.width);
  size = recipe::with_flops(shaped, size, 1e9);
  size.layers = run.layers;
  size.batch_sequences = run.batch_sequences;
  size.steps = run.steps;
  if (run.other_rate > 0)
    size.embedding_learning_rate = size.head_learning_rate = size.vector_learning_rate = run.other_rate;
  return size;
}

inline data::EvalSample search_sample(const data::Corpus& corpus, int context) {
  constexpr int64_t kTokens = 32768;
  return data::eval_sample(corpus, data::Split::kSearch, kTokens, context);
}

// Loss on the search split after the run, in nats per token; infinite when it diverges. Seeds also order the data.
inline double final_loss(const recipe::Recipe& recipe, const ShortRun& run, const data::Corpus& corpus) {
  const recipe::Size size = size_of(recipe, run);
  train::Trainer trainer(recipe, size, run.dtype, 1, run.seed);
  const data::BatchSampler batches(corpus.tokens(data::Split::kTrain), size.context, size.batch_sequences, run.seed);
  for (int64_t step = 0; step < size.steps; ++step)
    if (!std::isfinite(trainer.step(batches, step).loss)) return HUGE_VAL;
  return trainer.evaluate(search_sample(corpus, size.context)).loss;
}

}  // namespace flywheel::bench
