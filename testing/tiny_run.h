// A corpus of a few kilobytes and a model that trains on it in milliseconds: for tests of whole runs.
#pragma once

#include <fstream>
#include <string>

#include "base/rng.h"
#include "engine/data/tail_corpus.h"
#include "recipe/run_spec.h"

namespace flywheel::testing {

// Words from a small vocabulary: learnable, and never the same line twice.
inline void write_tiny_text(const Path& path, int lines = 1500) {
  static constexpr const char* kWords[] = {"the",   "wheel", "turns", "and",   "law",
                                           "holds", "a",     "small", "model", "learns"};
  Rng rng(7);
  std::ofstream out(path);
  for (int line = 0; line < lines; ++line) {
    for (int word = 0; word < 6; ++word) out << kWords[rng.below(10)] << (word == 5 ? '\n' : ' ');
  }
}

// In `folder`: text.txt, corpus/, and a spec of `steps` steps that logs each one and never checkpoints by itself.
inline recipe::RunSpec tiny_spec(const Path& folder, recipe::OptimizerKind optimizer, int threads, int64_t steps) {
  if (!std::filesystem::exists(folder / "corpus")) {
    write_tiny_text(folder / "text.txt");
    data::build_tail_corpus(folder / "text.txt", 0.2, {}, folder / "corpus");
  }
  recipe::RunSpec spec;
  spec.id = "tiny";
  spec.recipe.optimizer.kind = optimizer;
  if (optimizer == recipe::OptimizerKind::kScheduleFree) spec.recipe.schedule.kind = recipe::ScheduleKind::kConstant;
  spec.recipe.optimizer.gradient_clip = 0.5;
  spec.recipe.model.head_dim = 8;
  spec.recipe.model.context = 24;
  spec.recipe.initialisation.base_width = 16;
  spec.size = {.vocabulary = 257,
               .layers = 2,
               .width = 16,
               .heads = 2,
               .kv_heads = 2,
               .feed_forward = 32,
               .context = 24,
               .batch_sequences = 5,
               .steps = steps,
               .matrix_learning_rate = 0.02,
               .embedding_learning_rate = 0.01,
               .head_learning_rate = 0.01,
               .vector_learning_rate = 0.01};
  spec.corpus = folder / "corpus";
  spec.threads = threads;
  spec.eval_tokens = 480;
  spec.checkpoint_seconds = 1e6;
  spec.log_every_fraction = 0;
  return spec;
}

}  // namespace flywheel::testing
