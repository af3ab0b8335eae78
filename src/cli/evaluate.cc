// flywheel evaluate: the loss of a trained run on one split.
#include <fmt/format.h>

#include <memory>

#include "base/json.h"
#include "base/log.h"
#include "cli/cli.h"
#include "engine/data/corpus.h"
#include "engine/train/run_model.h"

namespace flywheel::cli {
namespace {

struct EvaluateOptions {
  std::string directory, split;
  int64_t tokens = 0;
  bool json = false;
};

int evaluate(const EvaluateOptions& options) {
  const train::RunModel run =
      train::load_run_model(options.directory, 0, [](const std::string& text) { log_warning(text); });
  const data::Corpus corpus = data::Corpus::open(run.spec.corpus);
  const int64_t tokens = options.tokens > 0 ? options.tokens : run.spec.eval_tokens;
  const auto split = protocol::parse_name<protocol::Split>(options.split, "--split", "split");
  const train::SampleLoss result =
      run.model->evaluate(data::eval_sample(corpus.tokens(split), run.spec.size.context, tokens));
  if (options.json) {
    fmt::print("{}\n", OrderedJson{{"run", run.spec.id},
                                   {"split", options.split},
                                   {"tokens", result.tokens},
                                   {"loss", result.loss},
                                   {"bits_per_byte", result.bits_per_byte}}
                           .dump());
  } else {
    fmt::print("{} on {}: {:.4f} bits per byte ({:.4f} nats per token over {} tokens, after {} of {} steps)\n",
               run.spec.id, options.split, result.bits_per_byte, result.loss, result.tokens, run.progress.step,
               run.spec.size.steps);
  }
  return 0;
}

}  // namespace

Action declare_evaluate(Arguments& arguments) {
  auto options = std::make_shared<EvaluateOptions>();
  arguments.option("--dir", options->directory, "the run's directory").required();
  arguments.option("--split", options->split, "search, audit, locked or train")
      .required()
      .one_of({"search", "audit", "locked", "train"});
  arguments.option("--tokens", options->tokens, "tokens to measure on; default: as many as the run's own evaluations")
      .range(int64_t{1}, int64_t{1} << 60);
  arguments.flag("--json", options->json, "print one JSON object");
  return [options] { return evaluate(*options); };
}

}  // namespace flywheel::cli
