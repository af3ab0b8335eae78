#include "cli/campaign_setup.h"

#include "base/clock.h"
#include "base/stop_signals.h"
#include "base/subprocess.h"
#include "engine/data/segments.h"
#include "engine/kernels/kernels.h"
#include "engine/train/costs.h"
#include "engine/train/memory.h"
#include "report/training_curve.h"

namespace flywheel::cli {
namespace {

uint64_t predicted_memory_bytes(const recipe::RunSpec& spec) {
  const bool bf16 = spec.precision == recipe::Precision::kBfloat16 ||
                    (spec.precision == recipe::Precision::kAuto && kernels::has_bfloat16_dot());
  return train::predict_memory_bytes(spec.recipe, spec.size, bf16 ? tensor::Dtype::kBfloat16 : tensor::Dtype::kFloat32,
                                     spec.threads);
}

}  // namespace

workload::FlywheelWorkload engine_workload(const Path& lab) {
  return workload::FlywheelWorkload(
      {.corpus = lab / "corpus",
       .predict_memory_bytes = predicted_memory_bytes,
       .segments = [manifest = data::Corpus::open(lab / "corpus").manifest()](
                       protocol::Split split,
                       int64_t tokens) { return data::evaluation_segments(manifest, split, tokens).hash; },
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
    : workload_(engine_workload(options.lab)),
      runner_({.cores = options.slots, .memory_bytes = available_memory_bytes() / 10 * 9, .gpus = 0}, available_cpus()),
      campaign_(ledger, runner_, workload_, real_clock(), options) {
  campaign_.stop_when([] { return stop_signal() != 0; });
  campaign_.on_line([&printer](const std::string& line) { printer.say(line); });
  const auto corpus = ledger.last<ledger::CorpusRecord>();
  const double per_nat = corpus ? report::bits_per_byte_per_nat(corpus->value) : 0;
  campaign_.on_progress([&printer, per_nat](const scheduler::Progress& progress, double seconds_left) {
    printer.show(progress, seconds_left, per_nat);
  });
}

}  // namespace flywheel::cli
