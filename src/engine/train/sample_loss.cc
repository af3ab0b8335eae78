#include "engine/train/sample_loss.h"

#include <numbers>

#include "base/check.h"

namespace flywheel::train {

SampleLoss sample_loss(const data::EvalSample& sample, std::span<const double> nats) {
  CHECK(static_cast<int64_t>(nats.size()) == sample.tokens);
  SampleLoss result{.tokens = sample.tokens, .bytes = sample.bytes, .segments = sample.segments};
  const double* token = nats.data();
  double sum = 0;
  for (const data::ScoredPiece& piece : sample.pieces) {
    if (result.documents.empty() || result.documents.back().begin != piece.document)
      result.documents.push_back({.begin = piece.document, .source = piece.source});
    DocumentLoss& document = result.documents.back();
    document.tokens += piece.tokens;
    document.bytes += piece.bytes;
    for (const double* end = token + piece.tokens; token < end; ++token) {
      document.nats += *token;
      sum += *token;
    }
  }
  result.loss = sum / static_cast<double>(result.tokens);
  result.bits_per_byte = sum / std::numbers::ln2 / static_cast<double>(result.bytes);
  std::vector<ScoredText> texts;
  bool known = true;
  for (const DocumentLoss& document : result.documents) {
    texts.push_back({document.nats / std::numbers::ln2, static_cast<double>(document.bytes)});
    texts.back().source = document.source ? document.source->source : document.begin;
    texts.back().block = document.source && document.source->block != 0;
    known = known && document.source;
  }
  const SampledError error = sampled_error(texts);
  result.sampling = error.error;
  if (known) result.units = error.units;
  return result;
}

}  // namespace flywheel::train
