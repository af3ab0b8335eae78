// flywheel sample: text from a trained run.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/host/standard_streams.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/lab_view.h"
#include "engine/train/run_model.h"
#include "engine/train/sampler.h"

namespace flywheel::cli {
namespace {

struct SampleCommand {
  std::string directory;
  train::SampleOptions sample;
  bool json = false;
};

// A run's own folder, or the best run of a lab that has kept its checkpoint.
std::string run_to_sample(const std::string& named) {
  const Path run(named);
  if (!named.empty() && !std::filesystem::exists(run / "ledger.sqlite")) return named;
  const std::string lab = lab_or_default(named);
  const auto ledger = ledger::Ledger::open_read_only(lab);
  std::vector<ledger::RunRow> rows = ledger->runs();
  std::erase_if(rows, [](const ledger::RunRow& row) { return !row.bits_per_byte || !row.ended(); });
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return *a.bits_per_byte < *b.bits_per_byte; });
  for (const ledger::RunRow& row : rows) {
    const Path folder = Path(lab) / "runs" / row.run;
    if (!std::filesystem::exists(folder / "checkpoint.bin")) continue;
    write_error(fmt::format("flywheel: {} of lab {}: {:.4f} bits per byte, the lowest of {} run{}{}\n", row.run, lab,
                            *row.bits_per_byte, rows.size(), rows.size() == 1 ? "" : "s",
                            row.run == rows.front().run ? "" : " that has kept its checkpoint"));
    return folder.string();
  }
  throw_bad_input("the lab {} has no finished run with a checkpoint yet{}", lab,
                  rows.empty() ? "" : "; those that finished have kept none");
}

int sample(const SampleCommand& options) {
  const std::string folder = run_to_sample(options.directory);
  const train::RunModel run = train::load_run_model(folder, 1, [](const std::string& text) { log_warning(text); });
  const std::string text = train::sample_text(*run.model, options.sample);
  if (options.json) {
    fmt::print("{}\n", OrderedJson{{"run", run.spec.id},
                                   {"step", run.progress.step},
                                   {"prompt", train::valid_utf8(options.sample.prompt)},
                                   {"text", train::valid_utf8(text)}}
                           .dump());
  } else {
    print_exactly(train::valid_utf8(options.sample.prompt + text) + "\n");
  }
  return 0;
}

}  // namespace

Action declare_sample(Arguments& arguments) {
  auto options = std::make_shared<SampleCommand>();
  train::SampleOptions& s = options->sample;
  arguments.option("--dir,RUN", options->directory, "a run's folder, or a lab's for its best run (default: lab)")
      .type_name("RUN|LAB");
  arguments.option("--prompt", s.prompt, "what the text begins with; default: a new document");
  arguments.option("--tokens", s.tokens, "at most so many tokens")
      .range(int64_t{1}, int64_t{10'000'000})
      .show_default();
  arguments.option("--temperature", s.temperature, "0: always the likeliest token; 1: as the model predicts")
      .range(0.0, 100.0)
      .show_default();
  arguments.option("--top-k", s.top_k, "draw from the k likeliest tokens only; 0: all")
      .range(0, 1 << 20)
      .show_default();
  arguments.option("--top-p", s.top_p, "draw from the likeliest tokens that together hold this probability")
      .range(1e-6, 1.0)
      .show_default();
  arguments.option("--seed", s.seed, "the same seed gives the same text").show_default();
  arguments.flag("--json", options->json, "print one JSON object");
  return [options] { return sample(*options); };
}

}  // namespace flywheel::cli
