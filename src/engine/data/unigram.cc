#include "engine/data/unigram.h"

#include <array>
#include <cmath>
#include <limits>

namespace flywheel::data {
namespace {

using Counts = std::array<int64_t, kVocabulary>;

constexpr size_t kPart = size_t{1} << 16, kParts = 256;  // tokens of a part, and how many are looked at

// A token above the vocabulary, of a damaged file, is left for those who read it to train.
void count_tokens(std::span<const uint16_t> tokens, Counts& counts) {
  for (const uint16_t token : tokens)
    if (token < kVocabulary) ++counts[token];
}

Counts counts_of(std::span<const uint16_t> tokens) {
  Counts counts{};
  if (tokens.size() <= kPart * kParts) {
    count_tokens(tokens, counts);
    return counts;
  }
  for (size_t part = 0; part < kParts; ++part)
    count_tokens(tokens.subspan(part * ((tokens.size() - kPart) / (kParts - 1)), kPart), counts);
  return counts;
}

}  // namespace

double unigram_bits_per_byte(std::span<const uint16_t> train, std::span<const uint16_t> scored) {
  const Counts seen = counts_of(train), asked = counts_of(scored);
  double all = kVocabulary;
  for (const int64_t count : seen) all += static_cast<double>(count);
  double bits = 0, bytes = 0;
  for (size_t token = 0; token < seen.size(); ++token) {
    bits -= static_cast<double>(asked[token]) * std::log2((static_cast<double>(seen[token]) + 1) / all);
    if (token != kEndOfDocument) bytes += static_cast<double>(asked[token]);
  }
  return bytes > 0 ? bits / bytes : std::numeric_limits<double>::infinity();
}

double unigram_bits_per_byte(const Corpus& corpus, Split split) {
  return unigram_bits_per_byte(corpus.tokens(Split::kTrain), corpus.tokens(split));
}

}  // namespace flywheel::data
