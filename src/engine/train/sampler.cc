#include "engine/train/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "engine/data/corpus.h"

namespace flywheel::train {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Length of the valid UTF-8 sequence at the start of `bytes` (RFC 3629), or 0.
size_t utf8_length(std::string_view bytes) {
  const auto at = [&](size_t i) { return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0u; };
  const auto continues = [&](size_t i) { return (at(i) & 0xC0) == 0x80; };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80, high = first == 0xED ? 0x9F : 0xBF;
    return at(1) >= low && at(1) <= high && continues(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80, high = first == 0xF4 ? 0x8F : 0xBF;
    return at(1) >= low && at(1) <= high && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string valid_utf8(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const size_t length = utf8_length(bytes);
    text += length > 0 ? bytes.substr(0, length) : kReplacement;
    bytes.remove_prefix(std::max<size_t>(1, length));
  }
  return text;
}

int draw_token(std::span<const float> logits, const SampleOptions& options, Rng& rng, std::vector<int>& order) {
  for (const float logit : logits) {
    if (!std::isfinite(logit)) throw_failed("the model gives logits that are no numbers: its parameters are damaged");
  }
  order.resize(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)]; });
  if (options.temperature <= 0) return order.front();
  size_t kept = order.size();
  if (options.top_k > 0) kept = std::min(kept, static_cast<size_t>(options.top_k));
  const float highest = logits[static_cast<size_t>(order.front())];
  const auto weight = [&](size_t rank) {
    return std::exp((double{logits[static_cast<size_t>(order[rank])]} - highest) / options.temperature);
  };
  double total = 0;
  for (size_t rank = 0; rank < kept; ++rank) total += weight(rank);
  double nucleus = 0;
  for (size_t rank = 0; rank < kept; ++rank) {
    nucleus += weight(rank);
    if (nucleus >= options.top_p * total) kept = rank + 1;
  }
  double left = rng.uniform() * nucleus;
  for (size_t rank = 0; rank < kept; ++rank) {
    left -= weight(rank);
    if (left < 0) return order[rank];
  }
  return order[kept - 1];
}

std::string sample_text(LoadedModel& model, const SampleOptions& options, const std::function<bool()>& stop) {
  const recipe::Size& size = model.program().size();
  std::vector<uint16_t> tokens{data::kEndOfDocument};
  for (const char byte : options.prompt) tokens.push_back(static_cast<unsigned char>(byte));
  model::Generation generation(model.program(), model.packed(), model.parameters().data());
  // Beyond the context the model starts again from its second half.
  const auto keep = static_cast<size_t>(std::max(1, size.context / 2));
  size_t taken = tokens.size() - std::min(tokens.size(), static_cast<size_t>(size.context));
  std::vector<int> order;
  Rng rng(options.seed);
  std::string text;
  for (int64_t i = 0; i < options.tokens && !(stop && stop()); ++i) {
    if (generation.position() == size.context) {
      generation.reset();
      taken = tokens.size() - keep;
    }
    std::span<const float> logits;
    while (taken < tokens.size()) logits = generation.next(tokens[taken++]);
    const int token = draw_token(logits, options, rng, order);
    if (token >= data::kEndOfDocument) break;
    tokens.push_back(static_cast<uint16_t>(token));
    text.push_back(static_cast<char>(token));
  }
  return text;
}

}  // namespace flywheel::train
