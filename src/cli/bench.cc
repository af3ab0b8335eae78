// flywheel bench: this machine's peak, and training speed against it. Training steps are whole ones: forward, backward,
// clipping and AdamW, on the architecture that PyTorch users know as GPT-2's (LayerNorm, GELU, tied head).
#include <fmt/format.h>

#include <algorithm>
#include <barrier>
#include <memory>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/format.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/subprocess.h"
#include "cli/cli.h"
#include "kernels/kernels.h"
#include "train/trainer.h"

namespace flywheel::cli {
namespace {

constexpr int kVocabulary = 256, kContext = 256;
constexpr int kManyRunsDim = 128;

struct BenchSize {
  int dim, layers, heads, batch;
};
constexpr BenchSize kSizes[] = {{64, 4, 4, 16}, {128, 4, 4, 16}, {256, 6, 4, 16}, {512, 8, 8, 8}};

struct Options {
  double seconds = 1;
  std::vector<int> sizes;
  bool json = false;
};

std::pair<Recipe, Size> model_of(const BenchSize& bench) {
  Recipe recipe;
  recipe.model.positions = Positions::kLearned;
  recipe.model.norm = NormKind::kLayerNorm;
  recipe.model.feed_forward = FeedForward::kGelu;
  recipe.model.head_dim = bench.dim / bench.heads;
  recipe.model.qk_norm = false;
  recipe.model.tied_head = true;
  recipe.model.context = kContext;
  recipe.optimizer.kind = OptimizerKind::kAdamw;
  recipe.initialisation.transfer = Transfer::kStandard;
  Size size;
  size.vocabulary = kVocabulary;
  size.layers = bench.layers;
  size.width = bench.dim;
  size.heads = size.kv_heads = bench.heads;
  size.feed_forward = 4 * bench.dim;
  size.context = kContext;
  size.batch_sequences = bench.batch;
  size.steps = 1'000'000;
  size.matrix_learning_rate = size.embedding_learning_rate = size.head_learning_rate = size.vector_learning_rate = 1e-3;
  return {recipe, size};
}

std::vector<uint16_t> random_tokens() {
  std::vector<uint16_t> tokens(1 << 20);
  Rng rng(1);
  for (uint16_t& token : tokens) token = static_cast<uint16_t>(rng.below(kVocabulary));
  return tokens;
}

// Median seconds of a step, over `seconds` of them after two to warm up.
class StepTimer {
 public:
  StepTimer(const BenchSize& bench, Dtype dtype, int threads, const std::vector<uint16_t>& tokens)
      : StepTimer(model_of(bench), dtype, threads, tokens) {}

  void warm_up() {
    for (int i = 0; i < 2; ++i) trainer_.step(batches_, step_++);
  }
  double median_step_seconds(double seconds) {
    std::vector<double> times;
    const double end = real_clock().now_seconds() + seconds;
    for (double now = real_clock().now_seconds(); now < end || times.size() < 3;) {
      trainer_.step(batches_, step_++);
      const double after = real_clock().now_seconds();
      times.push_back(after - now);
      now = after;
    }
    std::nth_element(times.begin(), times.begin() + static_cast<int64_t>(times.size() / 2), times.end());
    return times[times.size() / 2];
  }
  double step_tokens() const { return static_cast<double>(size_.batch_sequences) * size_.context; }
  double step_flops() const { return step_tokens() * count(recipe_, size_).flops_per_token; }

 private:
  StepTimer(const std::pair<Recipe, Size>& model, Dtype dtype, int threads, const std::vector<uint16_t>& tokens)
      : recipe_(model.first),
        size_(model.second),
        trainer_(recipe_, size_, dtype, threads, 1),
        batches_(tokens, size_.context, size_.batch_sequences, 1) {}

  Recipe recipe_;
  Size size_;
  train::Trainer trainer_;
  data::BatchSampler batches_;
  int64_t step_ = 0;
};

// All cores at once: they share the power and the clock.
double peak_gflops(Dtype dtype, int threads, double seconds) {
  ThreadPool team(threads);
  std::vector<double> peaks(static_cast<size_t>(threads));
  team.run([&](int thread) { peaks[static_cast<size_t>(thread)] = kernels::measure_peak_gflops(dtype, seconds); });
  double sum = 0;
  for (const double peak : peaks) sum += peak;
  return sum;
}

// Tokens per second of `runs` single-threaded runs side by side.
double side_by_side(int runs, Dtype dtype, double seconds, const std::vector<uint16_t>& tokens) {
  const auto bench = std::find_if(std::begin(kSizes), std::end(kSizes),
                                  [](const BenchSize& size) { return size.dim == kManyRunsDim; });
  std::vector<std::unique_ptr<StepTimer>> timers;
  for (int i = 0; i < runs; ++i) timers.push_back(std::make_unique<StepTimer>(*bench, dtype, 1, tokens));
  std::vector<double> speeds(timers.size());
  std::barrier together(runs);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < timers.size(); ++i) {
    threads.emplace_back([&, i] {
      timers[i]->warm_up();
      together.arrive_and_wait();
      speeds[i] = timers[i]->step_tokens() / timers[i]->median_step_seconds(seconds);
    });
  }
  double sum = 0;
  for (size_t i = 0; i < threads.size(); ++i) {
    threads[i].join();
    sum += speeds[i];
  }
  return sum;
}

int bench(const Options& options) {
  const int threads = static_cast<int>(available_cpus().size());
  const bool bfloat16 = kernels::has_bfloat16_dot();
  const std::vector<uint16_t> tokens = random_tokens();
  const double fp32_peak = peak_gflops(Dtype::kFloat32, threads, options.seconds / 4);
  const double bf16_peak = bfloat16 ? peak_gflops(Dtype::kBfloat16, threads, options.seconds / 4) : 0;
  OrderedJson report{{"cpu", cpu_model_name()},
                     {"threads", threads},
                     {"instructions", kernels::instruction_set()},
                     {"peak", {{"fp32_gflops", fp32_peak}, {"bf16_gflops", bf16_peak}}},
                     {"sizes", OrderedJson::array()}};
  if (!options.json) {
    fmt::print("{}, {} threads, {}\npeak: {:.0f} GFLOP/s fp32, {:.0f} GFLOP/s bf16\n", cpu_model_name(), threads,
               kernels::instruction_set(), fp32_peak, bf16_peak);
    fmt::print("{:>5} {:>6} {:>5} {:>7} {:>5} {:>9} {:>12} {:>9} {:>8}\n", "dim", "layers", "heads", "context", "batch",
               "precision", "tokens/s", "GFLOP/s", "of peak");
  }
  for (const BenchSize& size : kSizes) {
    if (!options.sizes.empty() && std::count(options.sizes.begin(), options.sizes.end(), size.dim) == 0) continue;
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16}) {
      if (dtype == Dtype::kBfloat16 && !bfloat16) continue;
      StepTimer timer(size, dtype, threads, tokens);
      timer.warm_up();
      const double seconds = timer.median_step_seconds(options.seconds);
      const double speed = timer.step_tokens() / seconds, gflops = timer.step_flops() / seconds / 1e9;
      const double fraction = gflops / (dtype == Dtype::kBfloat16 ? bf16_peak : fp32_peak);
      report["sizes"].push_back({{"dim", size.dim},
                                 {"layers", size.layers},
                                 {"heads", size.heads},
                                 {"context", kContext},
                                 {"batch", size.batch},
                                 {"precision", train::precision_name(dtype)},
                                 {"tokens_per_second", speed},
                                 {"gflops_per_second", gflops},
                                 {"fraction_of_peak", fraction}});
      if (!options.json) {
        fmt::print("{:>5} {:>6} {:>5} {:>7} {:>5} {:>9} {:>12.0f} {:>9.1f} {:>7.1f}%\n", size.dim, size.layers,
                   size.heads, kContext, size.batch, train::precision_name(dtype), speed, gflops, 100 * fraction);
        std::fflush(stdout);
      }
    }
  }
  const Dtype dtype = train::choose_dtype(Precision::kAuto);
  const double alone = side_by_side(1, dtype, options.seconds, tokens);
  const double ratio = side_by_side(2, dtype, options.seconds, tokens) / alone;
  report["many_runs_ratio"] = ratio;
  if (options.json) {
    fmt::print("{}\n", report.dump());
  } else {
    fmt::print("two single-threaded runs side by side do {:.2f} times the work of one\n", ratio);
  }
  return 0;
}

}  // namespace

Action declare_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--seconds", options->seconds, "time for each measurement")
      ->check(CLI::Range(0.01, 600.0))
      ->capture_default_str();
  app.add_option("--sizes", options->sizes, "model widths to measure, of 64, 128, 256, 512; default: all")
      ->delimiter(',')
      ->check(CLI::IsMember({64, 128, 256, 512}));
  app.add_flag("--json", options->json, "print one JSON object");
  return [options] { return bench(*options); };
}

}  // namespace flywheel::cli
