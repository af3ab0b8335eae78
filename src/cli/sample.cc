// flywheel sample: text from a trained run.
#include <fmt/format.h>

#include <memory>

#include "base/host/standard_streams.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/cli.h"
#include "engine/train/run_model.h"
#include "engine/train/sampler.h"

namespace flywheel::cli {
namespace {

struct SampleCommand {
  std::string directory;
  train::SampleOptions sample;
  bool json = false;
};

int sample(const SampleCommand& options) {
  const train::RunModel run =
      train::load_run_model(options.directory, 1, [](const std::string& text) { log_warning(text); });
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
  arguments.option("--dir", options->directory, "the run's directory").required();
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
