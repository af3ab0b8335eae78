// Speed of whole training sequences: tokens/s, GFLOP/s and the share of the peak measured in the same process, at the
// sizes that PyTorch is compared at. `bench_model --profile [dim]` prints where the time goes, by op.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "base/rng.h"
#include "engine/graph/profile.h"
#include "engine/kernels/kernels.h"
#include "engine/model/model.h"

namespace flywheel::model {
namespace {

struct Case {
  int width, layers, heads;
  int context = 256, sequences = 1;  // at once
  int64_t tokens() const { return int64_t{context} * sequences; }
};
constexpr Case kCases[] = {{64, 4, 4},  {128, 4, 4}, {128, 4, 4, 64, 1},  {128, 4, 4, 64, 3},
                           {256, 6, 4}, {512, 8, 8}, {512, 8, 8, 256, 2}, {1024, 8, 16}};

// The comparison's model: GPT-2's block at vocabulary 256.
class Workload {
 public:
  Workload(const Case& c, tensor::Dtype dtype)
      : program_(recipe(c), size(c), dtype, c.sequences),
        packed_(program_),
        parameters_(program_.parameter_elements() * 4),
        gradients_(program_.parameter_elements() * 4) {
    draw();
    packed_.refresh(parameters(), 0, 1);
    executor_ = std::make_unique<Executor>(program_, packed_, parameters(), true);
    Rng rng(2);
    for (int64_t i = 0; i <= c.tokens(); ++i) tokens_.push_back(static_cast<uint16_t>(rng.below(256)));
    const auto context = static_cast<size_t>(c.context);
    for (size_t i = 0; i < static_cast<size_t>(c.sequences); ++i)
      sequences_.push_back(Executor::Tokens(tokens_).subspan(i * context, context + 1));
    losses_.resize(sequences_.size());
  }
  const Program& program() const { return program_; }
  // The mean loss of a token.
  double step() {
    executor_->train(sequences_, 1.0f / 256, gradients(), losses_.data());
    return mean_loss();
  }
  void refresh() { packed_.refresh(parameters(), 0, 1); }
  void step(graph::Profile& profile) {
    executor_->train_profiled(sequences_, 1.0f / 256, gradients(), losses_.data(), profile);
  }
  double eval() {
    executor_->evaluate(sequences_, losses_.data());
    return mean_loss();
  }

 private:
  float* parameters() { return reinterpret_cast<float*>(parameters_.data()); }
  float* gradients() { return reinterpret_cast<float*>(gradients_.data()); }
  double mean_loss() const {
    return std::accumulate(losses_.begin(), losses_.end(), 0.0) / static_cast<double>(tokens_.size() - 1);
  }
  static recipe::Recipe recipe(const Case& c) {
    recipe::Recipe r;
    r.model.ngram_embeddings = 0;
    r.model.positions = recipe::Positions::kLearned;
    r.model.norm = recipe::NormKind::kLayerNorm;
    r.model.feed_forward = recipe::FeedForward::kGelu;
    r.model.head_dim = c.width / c.heads;
    r.model.qk_norm = false;
    r.model.tied_head = true;
    r.initialisation.transfer = recipe::Transfer::kStandard;
    return r;
  }
  static recipe::Size size(const Case& c) {
    recipe::Size s;
    s.vocabulary = 256;
    s.layers = c.layers;
    s.width = c.width;
    s.heads = s.kv_heads = c.heads;
    s.feed_forward = 4 * c.width;
    s.context = c.context;
    return s;
  }
  void draw() {
    Rng rng(1);
    for (const ParameterInfo& p : program_.parameters()) {
      for (int64_t i = 0; i < p.shape.elements(); ++i) {
        parameters()[p.offset + i] = static_cast<float>(initial_element(p, rng, i));
      }
    }
  }

  Program program_;
  PackedWeights packed_;
  tensor::Arena parameters_, gradients_;
  std::unique_ptr<Executor> executor_;
  std::vector<uint16_t> tokens_;
  std::vector<Executor::Tokens> sequences_;
  std::vector<double> losses_;
};

double peak_gflops(tensor::Dtype dtype) {
  static const double float_peak = kernels::measure_peak_gflops(tensor::Dtype::kFloat32, 0.2);
  static const double bfloat16_peak = kernels::measure_peak_gflops(tensor::Dtype::kBfloat16, 0.2);
  return dtype == tensor::Dtype::kBfloat16 ? bfloat16_peak : float_peak;
}

void report(benchmark::State& state, double flops, double tokens, tensor::Dtype dtype) {
  const auto iterations = static_cast<double>(state.iterations());
  using benchmark::Counter;
  state.counters["tokens/s"] = Counter(tokens * iterations, Counter::kIsRate);
  state.counters["GFLOP/s"] = Counter(flops * iterations * 1e-9, Counter::kIsRate);
  state.counters["of_peak"] = Counter(flops * iterations * 1e-9 / peak_gflops(dtype), Counter::kIsRate);
}

void train(benchmark::State& state, Case c, tensor::Dtype dtype) {
  Workload work(c, dtype);
  const double loss = work.step();
  if (std::abs(loss - std::log(256.0)) > 0.5) state.SkipWithError("the first loss is not that of a fresh model");
  for (auto _ : state) benchmark::DoNotOptimize(work.step());
  report(state, c.sequences * work.program().train_flops(), static_cast<double>(c.tokens()), dtype);
}

void evaluate(benchmark::State& state, Case c, tensor::Dtype dtype) {
  Workload work(c, dtype);
  for (auto _ : state) benchmark::DoNotOptimize(work.eval());
  report(state, c.sequences * work.program().eval_flops(), static_cast<double>(c.tokens()), dtype);
}

void refresh_weights(benchmark::State& state, Case c, tensor::Dtype dtype) {
  Workload work(c, dtype);
  for (auto _ : state) work.refresh();
}

void print_profile(const Case& c, tensor::Dtype dtype) {
  Workload work(c, dtype);
  graph::Profile warm_up, profile;
  work.step(warm_up);
  const int steps = std::max(3, static_cast<int>(0.5e11 / (c.sequences * work.program().train_flops())));
  for (int i = 0; i < steps; ++i) work.step(profile);
  fmt::print("\n{} wide, {} layers, {}: {:.1f} us for {} x {} tokens, {:.0f}% of peak, arena {:.2f} MB\n", c.width,
             c.layers, dtype == tensor::Dtype::kBfloat16 ? "bf16" : "float32", profile.seconds() / steps * 1e6,
             c.sequences, c.context,
             100 * c.sequences * work.program().train_flops() * steps / profile.seconds() * 1e-9 / peak_gflops(dtype),
             static_cast<double>(work.program().memory().arena_bytes_train) * 1e-6);
  std::vector<std::pair<std::string, graph::Profile::Line>> lines(profile.lines().begin(), profile.lines().end());
  std::sort(lines.begin(), lines.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  for (const auto& [name, line] : lines) {
    const double gflops = line.flops / line.seconds * 1e-9;
    fmt::print("  {:5.1f}%  {:8.1f} us  {:7.1f} GFLOP/s  {:4.0f}% of peak  {:3} x {}\n",
               100 * line.seconds / profile.seconds(), line.seconds / steps * 1e6, gflops,
               100 * gflops / peak_gflops(dtype), line.calls / steps, name);
  }
}

const char* dtype_text(tensor::Dtype dtype) {
  return dtype == tensor::Dtype::kBfloat16 ? "bf16" : "float32";
}

void register_all() {
  for (const Case& c : kCases) {
    for (tensor::Dtype dtype : {tensor::Dtype::kFloat32, tensor::Dtype::kBfloat16}) {
      const auto name = [&](const char* what) {
        const std::string size = c.context == 256 && c.sequences == 1
                                     ? fmt::format("{}", c.width)
                                     : fmt::format("{}x{}x{}", c.width, c.context, c.sequences);
        return fmt::format("{}/{}/{}", what, size, dtype_text(dtype));
      };
      benchmark::RegisterBenchmark(name("train").c_str(), train, c, dtype)->Unit(benchmark::kMicrosecond);
      benchmark::RegisterBenchmark(name("evaluate").c_str(), evaluate, c, dtype)->Unit(benchmark::kMicrosecond);
      benchmark::RegisterBenchmark(name("pack").c_str(), refresh_weights, c, dtype)->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace
}  // namespace flywheel::model

int main(int argc, char** argv) {
  using namespace flywheel::model;
  using flywheel::tensor::Dtype;
  if (argc > 1 && std::strcmp(argv[1], "--profile") == 0) {
    for (const Case& c : kCases) {
      if (argc > 2 && std::atoi(argv[2]) != c.width) continue;
      for (Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16}) print_profile(c, dtype);
    }
    return 0;
  }
  register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
