// Do learning rates transfer over width and depth? Loss over learning rate at three widths and three depths for each
// parametrisation, and how much the logits move in the first steps: the tables of docs/notes/transfer.md.
//   measure_transfer CORPUS_FOLDER [OPTIMIZER] [STEPS]
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "bench/short_runs.h"
#include "engine/train/precision.h"
#include "recipe/active.h"

namespace flywheel::bench {
namespace {

constexpr int kBaseWidth = 32, kBaseDepth = 2, kCoordinateSteps = 10;
constexpr ShortRun kShapes[] = {{.width = 32, .layers = 2},
                                {.width = 64, .layers = 2},
                                {.width = 128, .layers = 2},
                                {.width = 32, .layers = 6},
                                {.width = 32, .layers = 16}};
constexpr double kOtherRate = 0.008;  // embeddings, head and vectors do not follow the size
constexpr double kRates[] = {0.0005, 0.001, 0.002, 0.004, 0.008, 0.016};

recipe::Recipe recipe_of(const std::string& optimizer, const std::string& transfer, double rate) {
  recipe::Recipe recipe;
  recipe.model.ngram_embeddings = 0;
  std::vector<std::string> patches = {"model.context=64", "optimizer.kind=" + optimizer,
                                      "initialisation.transfer=" + transfer, "initialisation.standard_deviation=0.1",
                                      fmt::format("optimizer.learning_rate={}", rate)};
  if (optimizer == "schedule_free") patches.emplace_back("schedule.kind=constant");
  recipe = recipe::apply_patches(recipe, patches);
  if (recipe::is_active(recipe, "initialisation.base_width")) recipe.initialisation.base_width = kBaseWidth;
  if (recipe::is_active(recipe, "initialisation.base_depth")) recipe.initialisation.base_depth = kBaseDepth;
  return recipe;
}

std::string label(const ShortRun& shape) {
  return fmt::format("{} x {}", shape.width, shape.layers);
}

void loss_table(const std::string& optimizer, const std::string& transfer, int64_t steps, const data::Corpus& corpus) {
  fmt::print("\n{}, {}: loss after {} steps\n\n| width x depth |", optimizer, transfer, steps);
  for (const double rate : kRates) fmt::print(" {} |", rate);
  fmt::print(" best | lost at the base's best |\n|");
  for (size_t column = 0; column < std::size(kRates) + 3; ++column) fmt::print("---|");
  fmt::print("\n");
  size_t base_best = 0;
  for (ShortRun shape : kShapes) {
    shape.steps = steps;
    shape.batch_sequences = 16;
    shape.other_rate = kOtherRate;
    shape.dtype = train::choose_dtype(recipe::Precision::kAuto, shape.width);
    std::vector<double> losses;
    size_t best = 0;
    fmt::print("| {} |", label(shape));
    for (const double rate : kRates) {
      losses.push_back(final_loss(recipe_of(optimizer, transfer, rate), shape, corpus));
      if (losses.back() < losses[best]) best = losses.size() - 1;
      fmt::print(" {:.3f} |", losses.back());
      std::fflush(stdout);
    }
    if (shape.width == kBaseWidth && shape.layers == kBaseDepth) base_best = best;
    fmt::print(" {} | {:.3f} |\n", kRates[best], losses[base_best] - losses[best]);
  }
}

std::vector<float> logits_after(train::LoadedModel& model, std::span<const uint16_t> prompt) {
  model::Generation generation(model.program(), model.packed(), model.parameters().data());
  std::span<const float> logits;
  for (const uint16_t token : prompt) logits = generation.next(token);
  return {logits.begin(), logits.end()};
}

// Root mean square of the change of the logits of one position over the first steps.
double logit_change(const recipe::Recipe& recipe, ShortRun shape, const data::Corpus& corpus) {
  shape.other_rate = kOtherRate;
  shape.steps = 1000;  // the schedule's length; only the first are taken
  const recipe::Recipe warm = recipe::apply_patch(recipe, "schedule.warmup_steps=0");
  const recipe::Size size = size_of(warm, shape);
  train::Trainer trainer(warm, size, tensor::Dtype::kFloat32, 1, 1);
  const data::BatchSampler batches(corpus.tokens(data::Split::kTrain), size.context, size.batch_sequences, 1);
  const std::span<const uint16_t> prompt = corpus.tokens(data::Split::kSearch).first(static_cast<size_t>(size.context));
  trainer.step(batches, 0);  // the head starts at zero: its first step is the same everywhere
  const std::vector<float> before = logits_after(trainer.model(), prompt);
  for (int64_t step = 1; step <= kCoordinateSteps; ++step) trainer.step(batches, step);
  const std::vector<float> after = logits_after(trainer.model(), prompt);
  double squares = 0;
  for (size_t i = 0; i < after.size(); ++i) squares += std::pow(double{after[i]} - before[i], 2);
  return std::sqrt(squares / static_cast<double>(after.size()));
}

void coordinate_table(const std::string& optimizer, const data::Corpus& corpus) {
  fmt::print("\n{}: change of the logits over {} steps at 0.004\n\n| parametrisation |", optimizer, kCoordinateSteps);
  for (const ShortRun& shape : kShapes) fmt::print(" {} |", label(shape));
  fmt::print("\n|---|");
  for (size_t column = 0; column < std::size(kShapes); ++column) fmt::print("---|");
  fmt::print("\n");
  for (const char* transfer : {"standard", "mup", "completep"}) {
    fmt::print("| {} |", transfer);
    for (const ShortRun& shape : kShapes)
      fmt::print(" {:.3f} |", logit_change(recipe_of(optimizer, transfer, 0.004), shape, corpus));
    fmt::print("\n");
  }
}

}  // namespace
}  // namespace flywheel::bench

int main(int count, char** arguments) {
  using namespace flywheel;
  if (count < 2) {
    fmt::print(stderr, "usage: measure_transfer CORPUS_FOLDER [OPTIMIZER] [STEPS]\n");
    return 2;
  }
  const std::string optimizer = count > 2 ? arguments[2] : "adamw";
  const int64_t steps = count > 3 ? std::atoll(arguments[3]) : 150;
  try {
    const data::Corpus corpus = data::Corpus::open(arguments[1]);
    bench::coordinate_table(optimizer, corpus);
    for (const char* transfer : {"standard", "mup", "completep"}) bench::loss_table(optimizer, transfer, steps, corpus);
  } catch (const std::exception& e) {
    fmt::print(stderr, "measure_transfer: {}\n", e.what());
    return 1;
  }
}
