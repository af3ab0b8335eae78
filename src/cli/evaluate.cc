// flywheel evaluate: the loss of a trained run on one split.
#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "base/json.h"
#include "base/log.h"
#include "cli/cli.h"
#include "engine/data/segments.h"
#include "engine/train/event_writer.h"
#include "engine/train/run_model.h"

namespace flywheel::cli {
namespace {

struct EvaluateOptions {
  std::string directory, split;
  int64_t tokens = 0;
  int context = 0;
  bool json = false, by_document = false;
};

OrderedJson by_document(const train::SampleLoss& result) {
  OrderedJson list = OrderedJson::array();
  for (const train::DocumentLoss& document : result.documents) {
    list.push_back(
        {{"begin", document.begin}, {"tokens", document.tokens}, {"bytes", document.bytes}, {"nats", document.nats}});
    if (!document.source) continue;
    list.back()["source"] = document.source->source;
    list.back()["block"] = document.source->block != 0;
  }
  return list;
}

// The train split does not say what belongs together, nor do corpora of older versions.
std::string over(const train::SampleLoss& result) {
  return result.units ? words(*result.units) : "documents or blocks, each counted for itself";
}

int evaluate(const EvaluateOptions& options) {
  const train::RunModel run = train::load_run_model(
      options.directory, 0, [](const std::string& text) { log_warning(text); }, options.context);
  const data::Corpus corpus = data::Corpus::open(run.spec.corpus);
  const int64_t tokens = options.tokens > 0 ? options.tokens : run.spec.eval_tokens;
  const auto split = protocol::parse_name<protocol::Split>(options.split, "--split", "split");
  const train::SampleLoss result = run.model->evaluate(data::eval_sample(corpus, split, tokens, run.spec.size.context));
  if (options.json) {
    OrderedJson json{{"run", run.spec.id},
                     {"split", options.split},
                     {"tokens", result.tokens},
                     {"loss", result.loss},
                     {"bits_per_byte", result.bits_per_byte}};
    json.update(train::sample_fields(result));
    json["over"] = over(result);
    if (options.by_document) json["by_document"] = by_document(result);
    fmt::print("{}\n", json.dump());
  } else {
    const double half = result.sampling ? result.sampling->half_width(0.9) : INFINITY;
    const std::string sampling = std::isfinite(half) ? fmt::format(" \u00b1 {:.4f} (90%, over {})", half, over(result))
                                                     : ", of too few documents to tell its sampling error";
    const std::string blocks = !result.units ? " or blocks" : result.units->cut_documents > 0 ? " and blocks" : "";
    fmt::print("{} on {}: {:.4f} bits per byte{} ({} bytes of {} documents{}, list {}, after {} of {} steps)\n",
               run.spec.id, options.split, result.bits_per_byte, sampling, result.bytes, result.documents.size(),
               blocks, result.segments, run.progress.step, run.spec.size.steps);
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
  arguments.option("--tokens", options->tokens, "tokens to score; default: as many as the run's own evaluations")
      .range(int64_t{1}, int64_t{1} << 60);
  arguments.option("--context", options->context, "tokens that a window reads; default: as many as in training")
      .range(2, 1 << 20);
  arguments.flag("--json", options->json, "print one JSON object");
  arguments.flag("--by-document", options->by_document, "in it, the loss of each document");
  return [options] { return evaluate(*options); };
}

}  // namespace flywheel::cli
