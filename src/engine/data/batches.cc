// Which tokens a step trains on.
// The order of an epoch is a keyed bijection of the window numbers (a Feistel network with cycle walking, Black and
// Rogaway 2002), so that any step's windows are found without the steps before it.
#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/error.h"
#include "base/hash.h"
#include "engine/data/corpus.h"
#include "engine/data/token_file.h"

namespace flywheel::data {
namespace {

constexpr int64_t kManyWindows = 64;  // from here on one window is given up for a free phase
constexpr int kRounds = 6;

uint64_t permuted(uint64_t index, uint64_t count, uint64_t key) {
  const int half = std::max(1, (static_cast<int>(std::bit_width(count - 1)) + 1) / 2);
  const uint64_t mask = (uint64_t{1} << half) - 1;
  do {
    uint64_t left = index >> half, right = index & mask;
    for (int round = 0; round < kRounds; ++round) {
      const uint64_t next = left ^ (mix64(right ^ mix64(key + static_cast<uint64_t>(round))) & mask);
      left = right;
      right = next;
    }
    index = left << half | right;
  } while (index >= count);
  return index;
}

}  // namespace

BatchSampler::BatchSampler(std::span<const uint16_t> tokens, int context, int batch_sequences, uint64_t seed)
    : tokens_(tokens), context_(context), batch_sequences_(batch_sequences), seed_(seed) {
  CHECK(context >= 1 && batch_sequences >= 1, "context {}, batch {}", context, batch_sequences);
  const auto targets = static_cast<int64_t>(tokens.size()) - 1;
  if (targets < context)
    throw_bad_input("corpus: the train split holds {} tokens, a context of {} needs at least {}", tokens.size(),
                    context, context + 1);
  windows_ = targets / context;
  if (windows_ >= kManyWindows) --windows_;
  phases_ = std::min<int64_t>(context, targets - windows_ * context + 1);
}

std::span<const uint16_t> BatchSampler::sequence(int64_t step, int index) const {
  CHECK(step >= 0 && index >= 0 && index < batch_sequences_, "step {}, sequence {} of {}", step, index,
        batch_sequences_);
  return drawn(step * batch_sequences_ + index);
}

std::span<const uint16_t> BatchSampler::drawn(int64_t number) const {
  CHECK(number >= 0, "sequence {}", number);
  const auto draw = static_cast<uint64_t>(number);
  const auto windows = static_cast<uint64_t>(windows_);
  const uint64_t key = mix64(mix64(seed_) ^ (draw / windows));
  const uint64_t phase = mix64(key ^ 0x70686173ULL) % static_cast<uint64_t>(phases_);
  const uint64_t window = permuted(draw % windows, windows, key);
  const auto sequence =
      tokens_.subspan(phase + window * static_cast<uint64_t>(context_), static_cast<size_t>(context_) + 1);
  check_tokens(sequence);
  return sequence;
}

}  // namespace flywheel::data
