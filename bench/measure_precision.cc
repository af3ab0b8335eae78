// Do bfloat16 and float32 training agree within the noise floor? Trains each optimizer, or each given recipe, with five
// seeds at three sizes in both precisions and prints the table of docs/precision.md.
//   measure_precision CORPUS_FOLDER [PATCH,PATCH,...]...     each further argument is one recipe, as patches of the
//   base
#include <fmt/format.h>

#include <cmath>
#include <exception>
#include <string>
#include <vector>

#include "bench/short_runs.h"

namespace flywheel::bench {
namespace {

constexpr int kSeeds = 5;
constexpr ShortRun kSizes[] = {{.width = 32, .layers = 2}, {.width = 64, .layers = 2}, {.width = 96, .layers = 3}};

Recipe patched(const std::string& patches) {
  Recipe recipe = apply_patches(Recipe(), {"model.context=64", "model.ngram_embeddings=0"});
  for (size_t start = 0; start < patches.size();) {
    const size_t end = std::min(patches.find(',', start), patches.size());
    recipe = apply_patch(recipe, patches.substr(start, end - start));
    start = end + 1;
  }
  return recipe;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double deviation(const std::vector<double>& values) {
  double squares = 0;
  for (const double value : values) squares += (value - mean(values)) * (value - mean(values));
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

void measure(const std::string& patches, const data::Corpus& corpus) {
  const Recipe recipe = patched(patches);
  for (ShortRun run : kSizes) {
    std::vector<double> exact, differences;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      run.seed = seed;
      run.dtype = Dtype::kFloat32;
      exact.push_back(final_loss(recipe, run, corpus));
      run.dtype = Dtype::kBfloat16;
      differences.push_back(final_loss(recipe, run, corpus) - exact.back());
    }
    const double noise = deviation(exact), difference = mean(differences);
    fmt::print("| {} | {} x {} | {:.4f} | {:.4f} | {:+.4f} | {:.4f} | {} |\n", patches.empty() ? "base" : patches,
               run.width, run.layers, mean(exact), noise, difference, deviation(differences) / std::sqrt(kSeeds),
               std::abs(difference) <= noise ? "yes" : "**no**");
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace flywheel::bench

int main(int count, char** arguments) {
  using namespace flywheel;
  if (count < 2) {
    fmt::print(stderr, "usage: measure_precision CORPUS_FOLDER [PATCH,PATCH,...]...\n");
    return 2;
  }
  std::vector<std::string> recipes(arguments + 2, arguments + count);
  if (recipes.empty())
    recipes = {"optimizer.kind=muon",
               "optimizer.kind=adamw,optimizer.learning_rate=0.004",
               "optimizer.kind=lion,optimizer.learning_rate=0.001",
               "optimizer.kind=soap,optimizer.learning_rate=0.004",
               "schedule.kind=constant,optimizer.kind=schedule_free,optimizer.learning_rate=0.004",
               "optimizer.cautious=true"};
  try {
    const data::Corpus corpus = data::Corpus::open(arguments[1]);
    fmt::print(
        "| recipe | width x depth | float32 loss | noise floor | bf16 - float32 | standard error | within |\n"
        "|---|---|---|---|---|---|---|\n");
    for (const std::string& patches : recipes) bench::measure(patches, corpus);
  } catch (const std::exception& e) {
    fmt::print(stderr, "measure_precision: {}\n", e.what());
    return 1;
  }
}
