// Do bfloat16 and float32 training agree within the noise floor? Trains each recipe of a list with five seeds at three
// sizes in both precisions and prints the table of docs/notes/precision.md, a row at a time.
//   measure_precision CORPUS_FOLDER LIST     lines of patches, as in bench/precision.txt
#include <fmt/format.h>

#include <cmath>
#include <exception>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "bench/short_runs.h"

namespace flywheel::bench {
namespace {

constexpr int kSeeds = 5, kTrialSeeds = 2;
constexpr int64_t kSteps = 150;
constexpr int kBatch = 4;
constexpr ShortRun kSizes[] = {{.width = 16, .layers = 2, .steps = kSteps, .batch_sequences = kBatch},
                               {.width = 32, .layers = 2, .steps = kSteps, .batch_sequences = kBatch},
                               {.width = 48, .layers = 3, .steps = kSteps, .batch_sequences = kBatch}};
constexpr ShortRun kTrialSize = kSizes[1];

std::vector<std::string> words(const std::string& line, char separator) {
  std::vector<std::string> found;
  std::istringstream stream(line.substr(0, line.find('#')));
  for (std::string word; std::getline(stream, word, separator);)
    if (!word.empty()) found.push_back(word);
  return found;
}

recipe::Recipe patched(const std::vector<std::string>& patches) {
  std::vector<std::string> all = {"model.context=64"};
  bool ngrams = false;
  for (const std::string& patch : patches) ngrams = ngrams || patch.starts_with("model.ngram_embeddings=");
  if (!ngrams) all.push_back("model.ngram_embeddings=0");
  all.insert(all.end(), patches.begin(), patches.end());
  return recipe::apply_patches(recipe::Recipe(), all);
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

double loss_of(const std::vector<std::string>& patches, ShortRun run, tensor::Dtype dtype, uint64_t seed,
               const data::Corpus& corpus) {
  run.dtype = dtype;
  run.seed = seed;
  return final_loss(patched(patches), run, corpus);
}

// Alternatives, "field=a|b|c", become the one with the lowest float32 loss: beyond a rate's best, training is chaotic,
// and two runs that differ by rounding end as far apart as two seeds.
void choose(std::vector<std::string>& patches, const data::Corpus& corpus) {
  for (std::string& patch : patches) {
    if (patch.find('|') == std::string::npos) continue;
    const size_t equals = patch.find('=');
    const std::string field = patch.substr(0, equals + 1);
    std::string best;
    double lowest = HUGE_VAL;
    for (const std::string& value : words(patch.substr(equals + 1), '|')) {
      patch = field + value;
      double sum = 0;
      for (uint64_t seed = 1; seed <= kTrialSeeds; ++seed)
        sum += loss_of(patches, kTrialSize, tensor::Dtype::kFloat32, 100 + seed, corpus);
      if (sum < lowest) lowest = sum, best = patch;
    }
    patch = best;
  }
}

void measure(std::vector<std::string> patches, const data::Corpus& corpus) {
  choose(patches, corpus);
  for (const ShortRun& run : kSizes) {
    std::vector<double> exact, differences;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      exact.push_back(loss_of(patches, run, tensor::Dtype::kFloat32, seed, corpus));
      differences.push_back(loss_of(patches, run, tensor::Dtype::kBfloat16, seed, corpus) - exact.back());
    }
    const double noise = deviation(exact), difference = mean(differences);
    fmt::print("| {} | {} x {} | {:.4f} | {:.4f} | {:+.4f} | {:.4f} | {} |\n", fmt::join(patches, " "), run.width,
               run.layers, mean(exact), noise, difference, deviation(differences) / std::sqrt(kSeeds),
               std::abs(difference) <= noise ? "yes" : "**no**");
    std::fflush(stdout);
  }
}

int measure_all(const char* folder, const char* list) {
  const data::Corpus corpus = data::Corpus::open(folder);
  std::ifstream lines(list);
  if (!lines) {
    fmt::print(stderr, "measure_precision: {}: cannot be read\n", list);
    return 2;
  }
  fmt::print(
      "| recipe | width x depth | float32 loss | noise floor | bf16 - float32 | standard error | within |\n"
      "|---|---|---|---|---|---|---|\n");
  for (std::string line; std::getline(lines, line);)
    if (const std::vector<std::string> patches = words(line, ' '); !patches.empty()) measure(patches, corpus);
  return 0;
}

}  // namespace
}  // namespace flywheel::bench

int main(int count, char** arguments) {
  if (count != 3) {
    fmt::print(stderr, "usage: measure_precision CORPUS_FOLDER LIST\n");
    return 2;
  }
  try {
    return flywheel::bench::measure_all(arguments[1], arguments[2]);
  } catch (const std::exception& e) {
    fmt::print(stderr, "measure_precision: {}\n", e.what());
    return 1;
  }
}
