#include "cli/campaign_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/clock.h"
#include "base/host/machine_limits.h"
#include "base/log.h"
#include "base/stop_signals.h"
#include "base/subprocess.h"
#include "base/thread_pool.h"
#include "engine/data/segments.h"
#include "engine/data/unigram.h"
#include "engine/kernels/kernels.h"
#include "engine/train/costs.h"
#include "engine/train/memory.h"
#include "engine/train/precision.h"
#include "report/training_curve.h"

namespace flywheel::cli {
namespace {

// Seconds: between tries to write the ledger, for all of them in a row, and where the lab is gone.
constexpr double kLongestPause = 60, kMostWaited = 600, kMostAway = 10;

uint64_t predicted_memory_bytes(const recipe::RunSpec& spec) {
  return train::predict_memory_bytes(spec.recipe, spec.size, train::choose_dtype(spec.precision, spec.size.width),
                                     spec.threads);
}

ledger::MachineRecord measure_machine() {
  const int threads = usable_cores();
  const auto peak = [&](tensor::Dtype dtype) {
    ThreadPool pool(threads, available_cpus());
    std::vector<double> gflops(static_cast<size_t>(threads), 0.0);
    pool.run([&](int thread) { gflops[static_cast<size_t>(thread)] = kernels::measure_peak_gflops(dtype, 0.15); });
    return std::accumulate(gflops.begin(), gflops.end(), 0.0);
  };
  ledger::MachineRecord machine{.cpu = cpu_model_name(),
                                .threads = threads,
                                .instruction_set = kernels::instruction_set(),
                                .peak_gflops_fp32 = peak(tensor::Dtype::kFloat32),
                                .peak_gflops_bf16 = {},
                                .precisions = {}};
  if (kernels::has_bfloat16_dot()) machine.peak_gflops_bf16 = peak(tensor::Dtype::kBfloat16);
  for (const train::PrecisionTiming& timing : train::time_all_precisions())
    machine.precisions[std::to_string(timing.width)] = recipe::precision_name(timing.faster());
  return machine;
}

// Measured once in a lab's life, so that its runs can be compared.
ledger::MachineRecord machine_of(ledger::Ledger& ledger) {
  if (!ledger.last<ledger::MachineRecord>()) ledger.append(measure_machine());
  return ledger.last<ledger::MachineRecord>()->value;
}

// A lab whose ledger names no precisions took bfloat16 wherever there was hardware for it.
recipe::Precision precision_of(const ledger::MachineRecord& machine, int width) {
  // Of what was timed then, which another version of the program may do at other widths.
  auto timed = machine.precisions.find(std::to_string(train::nearest_timed_width(width)));
  if (timed == machine.precisions.end()) timed = machine.precisions.begin();
  const bool bfloat16 = timed != machine.precisions.end()
                            ? timed->second == recipe::precision_name(recipe::Precision::kBfloat16)
                            : kernels::has_bfloat16_dot();
  return bfloat16 ? recipe::Precision::kBfloat16 : recipe::Precision::kFloat32;
}

}  // namespace

workload::FlywheelWorkload engine_workload(const Path& lab, const ledger::MachineRecord& machine) {
  return workload::FlywheelWorkload(
      {.corpus = lab / "corpus",
       .precision = [machine](int width) { return precision_of(machine, width); },
       .predict_memory_bytes = predicted_memory_bytes,
       .segments = [manifest = data::Corpus::open(lab / "corpus").manifest()](
                       protocol::Split split,
                       int64_t tokens) { return data::evaluation_segments(manifest, split, tokens).hash; },
       .context_free_loss =
           [corpus = lab / "corpus"](protocol::Split split) {
             return std::optional(data::unigram_bits_per_byte(data::Corpus::open(corpus), split));
           },
       .step_costs = train::step_costs});
}

campaign::CampaignOptions campaign_options(const Path& lab, const Budget& budget, double started, int slots,
                                           int64_t seed, const recipe::Recipe& recipe,
                                           const data::CorpusManifest& corpus) {
  campaign::CampaignOptions options;
  options.lab = lab;
  options.budget = budget;
  options.started_clock_seconds = started;
  options.slots = slots;
  options.seed = static_cast<uint64_t>(seed);
  options.configuration = workload::make_configuration(recipe);
  options.train_tokens = corpus.split_tokens[0];
  options.search_tokens = corpus.split_tokens[1];
  return options;
}

LocalCampaign::LocalCampaign(ledger::Ledger& ledger, const campaign::CampaignOptions& options, ProgressPrinter& printer)
    : ledger_(ledger),
      workload_(engine_workload(options.lab, machine_of(ledger))),
      runner_({.cores = options.slots, .memory_bytes = available_memory_bytes() / 10 * 9, .gpus = 0}, available_cpus()),
      campaign_(ledger, runner_, workload_, real_clock(), options),
      corpus_check_(options.lab / "corpus") {
  campaign_.stop_when([this] { return stop_signal() != 0 || corpus_check_.found_damage(); });
  ledger.when_stuck([this, lab = options.lab](const std::string& reason) { return wait_for_disk(lab, reason); });
  campaign_.on_line([&printer](const std::string& line) { printer.say(line); });
  const auto corpus = ledger.last<ledger::CorpusRecord>();
  const double per_nat = corpus ? report::bits_per_byte_per_nat(corpus->value) : 0;
  campaign_.on_progress([&printer, per_nat](const scheduler::Progress& progress, double seconds_left) {
    printer.show(progress, seconds_left, per_nat);
  });
}

LocalCampaign::~LocalCampaign() {
  ledger_.when_stuck({});
}

bool LocalCampaign::wait_for_disk(const Path& lab, const std::string& reason) {
  const double now = real_clock().now_seconds();
  if (now - last_wait_ended_ > kLongestPause) waited_ = 0, pause_ = 0;
  std::error_code ignored;
  if (waited_ > (std::filesystem::exists(lab, ignored) ? kMostWaited : kMostAway)) return false;
  pause_ = pause_ <= 0 ? 1 : std::min(2 * pause_, kLongestPause);
  write_error(fmt::format("flywheel: {} The next try is in {:.0f} s.\n", reason, pause_));
  while (real_clock().now_seconds() < now + pause_) {
    if (stop_signal() != 0) return false;
    real_clock().sleep_seconds(0.2);
  }
  last_wait_ended_ = real_clock().now_seconds();
  waited_ += last_wait_ended_ - now;
  campaign_.does_not_count(last_wait_ended_ - now);
  return true;
}

}  // namespace flywheel::cli
