// flywheel bench: this machine's peak, the engine's speed against it, on all cores and on one, and how long a run takes
// to begin. Training steps are whole ones: forward, backward, clipping and AdamW, on the architecture that PyTorch
// users know as GPT-2's (LayerNorm, GELU, tied head).
#include <fmt/format.h>

#include <algorithm>
#include <barrier>
#include <memory>
#include <numeric>
#include <thread>

#include "base/clock.h"
#include "base/format.h"
#include "base/host/machine_limits.h"
#include "base/json.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/subprocess.h"
#include "cli/bench_start.h"
#include "cli/cli.h"
#include "engine/kernels/kernels.h"
#include "engine/train/precision.h"
#include "engine/train/trainer.h"

namespace flywheel::cli {
namespace {

constexpr int kVocabulary = 256, kContext = 256;
constexpr int kManyRunsDim = 128;
constexpr double kStartFlops = 1e12;  // of the base recipe whose start is timed: the lowest rungs of a search

struct BenchSize {
  int dim, layers, heads, batch;
};
constexpr BenchSize kSizes[] = {{64, 4, 4, 16}, {128, 4, 4, 16}, {256, 6, 4, 16}, {512, 8, 8, 8}, {1024, 8, 16, 4}};

struct BenchOptions {
  double seconds = 1;
  std::vector<int> sizes;
  bool all_threads_only = false, json = false;
};

std::pair<recipe::Recipe, recipe::Size> model_of(const BenchSize& bench) {
  recipe::Recipe recipe;
  recipe.model.ngram_embeddings = 0;
  recipe.model.positions = recipe::Positions::kLearned;
  recipe.model.norm = recipe::NormKind::kLayerNorm;
  recipe.model.feed_forward = recipe::FeedForward::kGelu;
  recipe.model.head_dim = bench.dim / bench.heads;
  recipe.model.qk_norm = false;
  recipe.model.tied_head = true;
  recipe.model.context = kContext;
  recipe.optimizer.kind = recipe::OptimizerKind::kAdamw;
  recipe.initialisation.transfer = recipe::Transfer::kStandard;
  recipe::Size size;
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

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Calls for `seconds`, at least so often.
template <typename Call>
void repeat(double seconds, size_t at_least, Call&& call) {
  const double end = real_clock().now_seconds() + seconds;
  for (size_t done = 0; done < at_least || real_clock().now_seconds() < end; ++done) call();
}

template <typename Call>
double seconds_of(Call&& call) {
  const double begun = real_clock().now_seconds();
  call();
  return real_clock().now_seconds() - begun;
}

// All threads at once: they share the power and the clock. Each the best of short slices.
double peak_gflops(ThreadPool& team, int threads, tensor::Dtype dtype, double seconds) {
  std::vector<double> peaks(static_cast<size_t>(threads));
  team.run([&](int thread) { peaks[static_cast<size_t>(thread)] = kernels::measure_peak_gflops(dtype, seconds); });
  return std::accumulate(peaks.begin(), peaks.end(), 0.0);
}

// Of a call, over and over: the median, and the median share of the peak that the machine had just before each: where
// others use the machine too, a step and a peak are only comparable side by side.
struct Timed {
  double seconds, share;
};

class Workload {
 public:
  Workload(const BenchSize& bench, tensor::Dtype dtype, int threads, const std::vector<uint16_t>& tokens)
      : Workload(model_of(bench), dtype, threads, tokens) {
    trainer_.step(batches_, step_++);  // first touch of every page
  }
  double step_seconds(double seconds) {
    std::vector<double> times;
    repeat(seconds, 3, [&] { times.push_back(seconds_of([&] { trainer_.step(batches_, step_++); })); });
    return median(std::move(times));
  }
  Timed steps(double seconds) {
    return beside_peak(seconds, 3, step_flops(), [&] { trainer_.step(batches_, step_++); });
  }
  Timed evaluations(double seconds) {
    // Forward is a third of a step; the head computes only the tokens that are scored.
    const double spared = 2.0 * size_.width * size_.vocabulary * (step_tokens() - static_cast<double>(sample_.tokens));
    return beside_peak(seconds, 2, step_flops() / 3 - spared, [&] { trainer_.model().evaluate(sample_); });
  }
  double step_tokens() const { return static_cast<double>(size_.batch_sequences) * size_.context; }
  std::vector<std::string> slower_sizes() { return trainer_.model().program().slower_sizes(); }
  double step_flops() const { return step_tokens() * count(recipe_, size_).flops_per_token; }

 private:
  Workload(const std::pair<recipe::Recipe, recipe::Size>& model, tensor::Dtype dtype, int threads,
           const std::vector<uint16_t>& tokens)
      : recipe_(model.first),
        size_(model.second),
        dtype_(dtype),
        threads_(threads),
        trainer_(recipe_, size_, dtype, threads, 1),
        batches_(tokens, size_.context, size_.batch_sequences, 1),
        sample_(data::eval_sample(tokens, segments_of_batch(size_), size_.context)) {}

  // At the ends of as many windows, side by side, as a step has sequences.
  static data::SegmentList segments_of_batch(const recipe::Size& size) {
    data::SegmentList list;
    for (int64_t end = 1; std::ssize(list.segments) < size.batch_sequences;) {
      end += size.context;
      list.segments.push_back({end - protocol::kSegmentTokens, protocol::kSegmentTokens});
    }
    return list;
  }

  template <typename Call>
  Timed beside_peak(double seconds, size_t at_least, double flops, Call&& call) {
    constexpr double kPeakSeconds = 2e-3;
    std::vector<double> times, shares;
    repeat(seconds, at_least, [&] {
      const double peak = peak_gflops(trainer_.model().team(), threads_, dtype_, kPeakSeconds);
      times.push_back(seconds_of(call));
      shares.push_back(flops / times.back() * 1e-9 / peak);
    });
    return {median(std::move(times)), median(std::move(shares))};
  }

  recipe::Recipe recipe_;
  recipe::Size size_;
  tensor::Dtype dtype_;
  int threads_;
  train::Trainer trainer_;
  data::BatchSampler batches_;
  data::EvalSample sample_;
  int64_t step_ = 0;
};

// How many times the work of one single-threaded run two of them do side by side: the same two runs, in turn alone and
// together, so that whatever else the machine does weighs on both alike; the median of the rounds.
double many_runs_ratio(tensor::Dtype dtype, double seconds, const std::vector<uint16_t>& tokens) {
  constexpr int kRounds = 5;
  const auto bench = std::find_if(std::begin(kSizes), std::end(kSizes),
                                  [](const BenchSize& size) { return size.dim == kManyRunsDim; });
  Workload first(*bench, dtype, 1, tokens), second(*bench, dtype, 1, tokens);
  std::vector<double> ratios;
  for (int round = 0; round < kRounds; ++round) {
    const double alone = first.step_seconds(seconds / kRounds);
    double together = 0;
    std::barrier start(2);
    std::thread other([&] {
      start.arrive_and_wait();
      together = second.step_seconds(seconds / kRounds);
    });
    start.arrive_and_wait();
    const double beside = first.step_seconds(seconds / kRounds);
    other.join();
    ratios.push_back(alone / beside + alone / together);
  }
  return median(std::move(ratios));
}

struct Peak {
  int threads;
  double fp32, bf16;
  double of(tensor::Dtype dtype) const { return dtype == tensor::Dtype::kBfloat16 ? bf16 : fp32; }
};

Peak measure_peak(int threads, double seconds) {
  ThreadPool team(threads);
  const bool bfloat16 = kernels::has_bfloat16_dot();
  return {threads, peak_gflops(team, threads, tensor::Dtype::kFloat32, seconds),
          bfloat16 ? peak_gflops(team, threads, tensor::Dtype::kBfloat16, seconds) : 0};
}

OrderedJson measure_size(const BenchSize& size, tensor::Dtype dtype, const Peak& peak, double seconds,
                         const std::vector<uint16_t>& tokens) {
  Workload work(size, dtype, peak.threads, tokens);
  const Timed step = work.steps(seconds), evaluation = work.evaluations(seconds / 4);
  return {{"dim", size.dim},
          {"layers", size.layers},
          {"heads", size.heads},
          {"context", kContext},
          {"batch", size.batch},
          {"threads", peak.threads},
          {"precision", train::precision_name(dtype)},
          {"tokens_per_second", work.step_tokens() / step.seconds},
          {"gflops_per_second", work.step_flops() / step.seconds * 1e-9},
          {"fraction_of_peak", step.share},
          {"evaluation_tokens_per_second", work.step_tokens() / evaluation.seconds},
          {"evaluation_fraction_of_peak", evaluation.share},
          {"slower_sizes", work.slower_sizes()}};
}

OrderedJson measure_starts() {
  auto [gpt, small] = model_of(kSizes[0]);
  small.vocabulary = data::kVocabulary;
  const recipe::Recipe base;
  const recipe::Size lowest = recipe::size_for_flops(base, kStartFlops);
  OrderedJson rows = OrderedJson::array();
  const auto add = [&](const char* model, const recipe::Recipe& recipe, const recipe::Size& size) {
    rows.push_back({{"model", model},
                    {"dim", size.width},
                    {"layers", size.layers},
                    {"parameters", count(recipe, size).parameters},
                    {"start_ms", start_milliseconds(recipe, size)}});
  };
  add("gpt2", gpt, small);
  add("base recipe", base, lowest);
  return rows;
}

void print_starts(const OrderedJson& rows) {
  fmt::print("\n{:<12} {:>5} {:>6} {:>12} {:>10}\n", "start of", "dim", "layers", "parameters", "ms");
  for (const OrderedJson& row : rows) {
    fmt::print("{:<12} {:>5} {:>6} {:>12} {:>10.1f}\n", row["model"].get<std::string>(), row["dim"].get<int>(),
               row["layers"].get<int>(), row["parameters"].get<int64_t>(), row["start_ms"].get<double>());
  }
}

void print_header(const Peak& peak) {
  fmt::print("\n{} thread{}, peak {:.0f} GFLOP/s fp32, {:.0f} GFLOP/s bf16\n", peak.threads,
             peak.threads == 1 ? "" : "s", peak.fp32, peak.bf16);
  fmt::print("{:>5} {:>6} {:>5} {:>7} {:>5} {:>9} {:>12} {:>9} {:>8} {:>14} {:>8}\n", "dim", "layers", "heads",
             "context", "batch", "precision", "tokens/s", "GFLOP/s", "of peak", "eval tokens/s", "of peak");
}

void print_row(const OrderedJson& row) {
  fmt::print("{:>5} {:>6} {:>5} {:>7} {:>5} {:>9} {:>12.0f} {:>9.1f} {:>7.1f}% {:>14.0f} {:>7.1f}%\n",
             row["dim"].get<int>(), row["layers"].get<int>(), row["heads"].get<int>(), row["context"].get<int>(),
             row["batch"].get<int>(), row["precision"].get<std::string>(), row["tokens_per_second"].get<double>(),
             row["gflops_per_second"].get<double>(), 100 * row["fraction_of_peak"].get<double>(),
             row["evaluation_tokens_per_second"].get<double>(), 100 * row["evaluation_fraction_of_peak"].get<double>());
  for (const OrderedJson& line : row["slower_sizes"]) fmt::print("      slower: {}\n", line.get<std::string>());
  std::fflush(stdout);
}

int bench(const BenchOptions& options) {
  const int threads = usable_cores();
  const std::vector<uint16_t> tokens = random_tokens();
  const Peak all = measure_peak(threads, options.seconds / 4), one = measure_peak(1, options.seconds / 4);
  OrderedJson report{{"cpu", cpu_model_name()},
                     {"threads", threads},
                     {"instructions", kernels::instruction_set()},
                     {"slower_paths", kernels::slower_paths()},
                     {"peak", {{"fp32_gflops", all.fp32}, {"bf16_gflops", all.bf16}}},
                     {"one_thread_peak", {{"fp32_gflops", one.fp32}, {"bf16_gflops", one.bf16}}},
                     {"sizes", OrderedJson::array()},
                     {"one_thread_sizes", OrderedJson::array()}};
  if (!options.json) {
    fmt::print("{}, {}\nshares are of the peak that the machine had just before each step\n", cpu_model_name(),
               kernels::instruction_set());
    for (const std::string& path : kernels::slower_paths()) fmt::print("slower path: {}\n", path);
  }
  for (const Peak& peak : threads > 1 ? std::vector{all, one} : std::vector{all}) {
    const bool is_one = peak.threads == 1 && threads > 1;
    if (is_one && options.all_threads_only) continue;
    if (!options.json) print_header(peak);
    for (const BenchSize& size : kSizes) {
      if (!options.sizes.empty() && std::count(options.sizes.begin(), options.sizes.end(), size.dim) == 0) continue;
      for (const tensor::Dtype dtype : {tensor::Dtype::kFloat32, tensor::Dtype::kBfloat16}) {
        if (peak.of(dtype) <= 0) continue;
        const OrderedJson row = measure_size(size, dtype, peak, options.seconds, tokens);
        report[is_one ? "one_thread_sizes" : "sizes"].push_back(row);
        if (!options.json) print_row(row);
      }
    }
  }
  report["auto"] = OrderedJson::object();
  for (const int width : train::kTimedWidths)
    report["auto"][std::to_string(width)] = recipe::precision_name(train::faster_precision(width));
  const double ratio =
      many_runs_ratio(train::choose_dtype(recipe::Precision::kAuto, kManyRunsDim), options.seconds, tokens);
  report["many_runs_ratio"] = ratio;
  report["starts"] = measure_starts();
  if (options.json) {
    fmt::print("{}\n", json_line(report));
  } else {
    fmt::print("\nprecision that \"auto\" takes, by width:");
    for (const auto& [width, precision] : report["auto"].items())
      fmt::print(" {} {}", width, precision.get<std::string>());
    fmt::print("\ntwo single-threaded runs side by side do {:.2f} times the work of one\n", ratio);
    print_starts(report["starts"]);
  }
  return 0;
}

}  // namespace

Action declare_bench(Arguments& arguments) {
  auto options = std::make_shared<BenchOptions>();
  arguments.option("--seconds", options->seconds, "time for each measurement").range(0.01, 600.0).show_default();
  arguments.option("--sizes", options->sizes, "model widths to measure, of 64, 128, 256, 512, 1024; default: all")
      .separated_by(',')
      .one_of({64, 128, 256, 512, 1024});
  arguments.flag("--all-threads-only", options->all_threads_only, "leave out the sizes on one thread");
  arguments.flag("--json", options->json, "print one JSON object");
  return [options] { return bench(*options); };
}

}  // namespace flywheel::cli
