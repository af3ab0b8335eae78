// Training speed of every mixer beside attention's: whole models of one thread that differ in nothing else, measured in
// turns in one process. `bench_mixers [--profile MIXER]`.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/rng.h"
#include "engine/graph/profile.h"
#include "engine/model/model.h"
#include "recipe/mixers.h"

namespace flywheel::model {
namespace {

constexpr int kHeadDim = 32, kLayers = 4;
constexpr int kRounds = 7;
constexpr double kRoundSeconds = 0.15;

recipe::Recipe recipe_of(const std::string& mixer, int context) {
  recipe::Recipe r;
  r.model.ngram_embeddings = 0;
  r.model.mixers = mixer;
  r.model.head_dim = kHeadDim;
  r.model.context = context;
  return r;
}

recipe::Size size_of(const recipe::Recipe& r, int width) {
  recipe::Size s;
  s.vocabulary = 256;
  s.layers = kLayers;
  s.width = width;
  s.heads = s.kv_heads = width / kHeadDim;
  s.feed_forward = width * 8 / 3 / 16 * 16;
  s.context = r.model.context;
  return s;
}

class Workload {
 public:
  Workload(const std::string& mixer, int width, int context, tensor::Dtype dtype)
      : recipe_(recipe_of(mixer, context)),
        program_(recipe_, size_of(recipe_, width), dtype),
        packed_(program_),
        parameters_(static_cast<size_t>(program_.parameter_elements())),
        gradients_(parameters_.size()) {
    Rng rng(1);
    for (const ParameterInfo& p : program_.parameters()) {
      for (int64_t i = 0; i < p.shape.elements(); ++i)
        parameters_[static_cast<size_t>(p.offset + i)] = static_cast<float>(initial_element(p, rng, i));
    }
    for (int i = 0; i <= context; ++i) tokens_.push_back(static_cast<uint16_t>(rng.below(256)));
    packed_.refresh(parameters_.data(), 0, 1);
    executor_ = std::make_unique<Executor>(program_, packed_, parameters_.data(), true);
    if (std::abs(step() / context - std::log(256.0)) > 0.5)
      throw std::runtime_error(mixer + ": not a fresh model's loss");
  }
  double step() { return executor_->train_sequence(tokens_, 1e-3f, gradients_.data()); }
  void step(graph::Profile& profile) {
    const Executor::Tokens sequence = tokens_;
    double loss;
    executor_->train_profiled({&sequence, 1}, 1e-3f, gradients_.data(), &loss, profile);
  }
  double flops() const { return program_.train_flops(); }
  int64_t arena_bytes() const { return program_.memory().arena_bytes_train; }

  // Seconds a step, over about kRoundSeconds.
  double round() {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    int steps = 0;
    double seconds = 0;
    while (seconds < kRoundSeconds) {
      step();
      ++steps;
      seconds = std::chrono::duration<double>(Clock::now() - start).count();
    }
    return seconds / steps;
  }

 private:
  recipe::Recipe recipe_;
  Program program_;
  PackedWeights packed_;
  std::vector<float> parameters_, gradients_;
  std::unique_ptr<Executor> executor_;
  std::vector<uint16_t> tokens_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void compare(int width, int context, tensor::Dtype dtype) {
  const std::vector<std::string> mixers = recipe::mixer_names();  // attention first
  std::vector<std::unique_ptr<Workload>> work;
  for (const std::string& mixer : mixers) work.push_back(std::make_unique<Workload>(mixer, width, context, dtype));
  std::vector<std::vector<double>> seconds(mixers.size()), ratios(mixers.size());
  for (int round = 0; round < kRounds; ++round) {
    for (size_t i = 0; i < mixers.size(); ++i) {
      seconds[i].push_back(work[i]->round());
      ratios[i].push_back(seconds[0].back() / seconds[i].back());
    }
  }
  for (size_t i = 0; i < mixers.size(); ++i) {
    const double time = median(seconds[i]);
    fmt::print("{:5} {:7} {:8} {:13} {:10.0f} {:9.1f} {:9.2f} ({:.2f} to {:.2f}) {:9.2f}\n", width, context,
               dtype == tensor::Dtype::kBfloat16 ? "bf16" : "float32", mixers[i], context / time,
               work[i]->flops() / time * 1e-9, median(ratios[i]), *std::min_element(ratios[i].begin(), ratios[i].end()),
               *std::max_element(ratios[i].begin(), ratios[i].end()),
               static_cast<double>(work[i]->arena_bytes()) * 1e-6);
  }
}

void print_profile(const std::string& mixer, int width, int context, tensor::Dtype dtype) {
  Workload work(mixer, width, context, dtype);
  graph::Profile profile;
  for (int i = 0; i < 20; ++i) work.step(profile);
  std::vector<std::pair<std::string, graph::Profile::Line>> lines(profile.lines().begin(), profile.lines().end());
  std::sort(lines.begin(), lines.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  fmt::print("{} wide, {} tokens, {}\n", width, context, dtype == tensor::Dtype::kBfloat16 ? "bf16" : "float32");
  for (const auto& [name, line] : lines)
    fmt::print("  {:5.1f}%  {:8.1f} us  {:7.1f} GFLOP/s  {}\n", 100 * line.seconds / profile.seconds(),
               line.seconds / 20 * 1e6, line.flops / line.seconds * 1e-9, name);
}

}  // namespace
}  // namespace flywheel::model

int main(int argc, char** argv) {
  using namespace flywheel;
  if (argc > 2 && std::strcmp(argv[1], "--profile") == 0) {
    for (tensor::Dtype dtype : {tensor::Dtype::kFloat32, tensor::Dtype::kBfloat16})
      model::print_profile(argv[2], 128, 256, dtype);
    return 0;
  }
  fmt::print("width context dtype    mixer           tokens/s   GFLOP/s  x attention (range)   arena MB\n");
  for (int width : {128, 256}) {
    for (int context : {128, 256, 1024}) {
      for (tensor::Dtype dtype : {tensor::Dtype::kFloat32, tensor::Dtype::kBfloat16})
        model::compare(width, context, dtype);
    }
  }
}
