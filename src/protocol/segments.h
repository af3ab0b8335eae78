// Evaluation segments: what lab and runs both know of the text that evaluations score. The list itself is made in
// engine/data/segments.h. Why: a recipe's context must not decide which text it is judged on.
#pragma once

#include <algorithm>
#include <cstdint>

namespace flywheel::protocol {

// Tokens of a full segment.
inline constexpr int kSegmentTokens = 96;

// The most tokens that a window of `context` tokens scores, at its end: so each has a quarter of the context before it.
// Without that the first would be predicted from a single token, and one token more of context would be worth many
// noise floors.
constexpr int64_t most_scored(int64_t context) {
  return std::max<int64_t>(1, context * 3 / 4);
}
constexpr int64_t windows_of_segment(int64_t context) {
  return (kSegmentTokens + most_scored(context) - 1) / most_scored(context);
}
// Tokens that a model reads for each that is scored.
constexpr double tokens_read_per_scored(int64_t context) {
  return static_cast<double>(windows_of_segment(context) * context) / kSegmentTokens;
}

}  // namespace flywheel::protocol
