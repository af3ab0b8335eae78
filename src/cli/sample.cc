// flywheel sample: text from a trained run.
#include <fmt/format.h>

#include <memory>

#include "base/log.h"
#include "cli/cli.h"
#include "engine/train/run_model.h"
#include "engine/train/sampler.h"

namespace flywheel::cli {
namespace {

struct Options {
  std::string directory;
  train::SampleOptions sample;
  bool json = false;
};

int sample(const Options& options) {
  const train::RunModel run =
      train::load_run_model(options.directory, 1, [](const std::string& text) { spdlog::warn("{}", text); });
  const std::string text = train::sample_text(*run.model, options.sample);
  if (options.json) {
    fmt::print("{}\n", OrderedJson{{"run", run.spec.id},
                                   {"step", run.progress.step},
                                   {"prompt", train::valid_utf8(options.sample.prompt)},
                                   {"text", train::valid_utf8(text)}}
                           .dump());
  } else {
    fmt::print("{}\n", train::valid_utf8(options.sample.prompt + text));
  }
  return 0;
}

}  // namespace

Action declare_sample(CLI::App& app) {
  auto options = std::make_shared<Options>();
  train::SampleOptions& s = options->sample;
  app.add_option("--dir", options->directory, "the run's directory")->required();
  app.add_option("--prompt", s.prompt, "what the text begins with; default: a new document");
  app.add_option("--tokens", s.tokens, "at most so many tokens")
      ->check(CLI::Range(int64_t{1}, int64_t{10'000'000}))
      ->capture_default_str();
  app.add_option("--temperature", s.temperature, "0: always the likeliest token; 1: as the model predicts")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  app.add_option("--top-k", s.top_k, "draw from the k likeliest tokens only; 0: all")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option("--top-p", s.top_p, "draw from the likeliest tokens that together hold this probability")
      ->check(CLI::Range(1e-6, 1.0))
      ->capture_default_str();
  app.add_option("--seed", s.seed, "the same seed gives the same text")->capture_default_str();
  app.add_flag("--json", options->json, "print one JSON object");
  return [options] { return sample(*options); };
}

}  // namespace flywheel::cli
