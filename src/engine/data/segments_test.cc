// The text that evaluations score must be the same for every recipe, all of the split alike, and known by its hash.
#include "engine/data/segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"
#include "testing/error_of.h"

namespace flywheel::data {
namespace {

using ::testing::HasSubstr;

constexpr int kContexts[] = {1, 2, 32, 63, 64, 65, 96, 127, 128, 129, 200, 256, 512, 5000};

// Documents of many lengths, from one byte to a tenth of the split.
std::vector<uint16_t> split_of(size_t count, uint64_t seed = 1) {
  Rng rng(seed);
  std::vector<uint16_t> tokens;
  while (tokens.size() < count) {
    const auto length = static_cast<size_t>(std::exp(rng.uniform() * std::log(0.1 * static_cast<double>(count))));
    for (size_t i = 0; i <= length; ++i) tokens.push_back(static_cast<uint16_t>(rng.below(256)));
    tokens.push_back(kEndOfDocument);
  }
  tokens.resize(count);
  tokens.back() = kEndOfDocument;
  return tokens;
}

SegmentList list_of(const std::vector<uint16_t>& tokens, int64_t max_tokens) {
  return evaluation_segments(static_cast<int64_t>(tokens.size()), "sha256 of the split", max_tokens);
}

std::vector<uint16_t> targets_of(const EvalSample& sample) {
  std::vector<uint16_t> targets;
  for (size_t i = 0; i < sample.windows.size(); ++i) {
    const auto last = sample.windows[i].last(static_cast<size_t>(sample.scored[i]));
    targets.insert(targets.end(), last.begin(), last.end());
  }
  return targets;
}

TEST(EvalSample, EveryContextScoresTheSameBytes) {
  const std::vector<uint16_t> tokens = split_of(20'001);
  for (const int64_t max_tokens : {int64_t{1}, int64_t{100}, int64_t{1024}, int64_t{8192}, int64_t{1} << 40}) {
    const SegmentList list = list_of(tokens, max_tokens);
    std::vector<uint16_t> expected;
    for (const Segment& segment : list.segments)
      expected.insert(expected.end(), tokens.begin() + segment.begin, tokens.begin() + segment.begin + segment.tokens);
    if (expected == std::vector<uint16_t>{kEndOfDocument}) continue;
    for (const int context : kContexts) {
      SCOPED_TRACE(fmt::format("{} tokens, context {}", max_tokens, context));
      const EvalSample sample = eval_sample(tokens, list, context);
      EXPECT_EQ(targets_of(sample), expected);
      EXPECT_EQ(sample.tokens, static_cast<int64_t>(expected.size()));
      EXPECT_EQ(sample.bytes, std::ssize(expected) - std::count(expected.begin(), expected.end(), kEndOfDocument));
      EXPECT_EQ(sample.segments, list.hash);
    }
  }
}

TEST(EvalSample, AWindowEndsWhereItsSegmentDoesAndReadsTheContextBeforeThat) {
  const std::vector<uint16_t> tokens = split_of(5'000);
  const SegmentList list = list_of(tokens, 1 << 20);  // all of it
  for (const int context : kContexts) {
    SCOPED_TRACE(context);
    const EvalSample sample = eval_sample(tokens, list, context);
    size_t window = 0;
    int64_t scored = 0;
    for (const Segment& segment : list.segments) {
      const int64_t most = std::max(1, context * 3 / 4), windows = (segment.tokens + most - 1) / most;
      for (int64_t w = 0; w < windows; ++w, ++window) {
        const auto read = sample.windows[window];
        EXPECT_EQ(sample.first_scored[window], scored);
        scored += sample.scored[window];
        const int64_t end = scored;  // the segments of a whole split lie side by side
        EXPECT_EQ(std::ssize(read), std::min<int64_t>(context, end) + 1);
        // Before the split's first token stands an end of document.
        for (int64_t i = 1; i <= std::ssize(read); ++i)
          ASSERT_EQ(read[read.size() - static_cast<size_t>(i)],
                    i > end ? kEndOfDocument : tokens[static_cast<size_t>(end - i)]);
        EXPECT_EQ(sample.scored[window], w > 0 ? most : (segment.tokens - 1) % most + 1);
      }
      EXPECT_EQ(scored, segment.begin + segment.tokens);
    }
    EXPECT_EQ(window, sample.windows.size());
  }
}

TEST(EvalSample, AContextBelowTheSegmentReadsLessAndNeverAnotherAmountOfText) {
  const std::vector<uint16_t> tokens = split_of(800 * protocol::kSegmentTokens);
  const SegmentList list = list_of(tokens, 16'384);
  double before = 0;
  for (int context = 1; context <= 600; ++context) {
    const EvalSample sample = eval_sample(tokens, list, context);
    double history = 0;  // inputs that a scored token can depend on
    for (size_t i = 0; i < sample.windows.size(); ++i)
      for (int32_t k = 0; k < sample.scored[i]; ++k) history += static_cast<double>(sample.windows[i].size()) - 1 - k;
    // No context is worth less than a smaller one; segments at the start of the split have less before them.
    EXPECT_GE(history, before - 1e-9) << context;
    before = history;
    EXPECT_EQ(std::ssize(sample.windows), protocol::windows_of_segment(context) * std::ssize(list.segments));
  }
}

TEST(SegmentList, HasTheSplitsTokensAlikeWhateverTheirDocumentsAre) {
  for (const int64_t tokens : {int64_t{2}, int64_t{127}, int64_t{128}, int64_t{129}, int64_t{12'345}}) {
    const SegmentList all = evaluation_segments(tokens, "s", INT64_MAX / 4);
    int64_t at = 0;
    for (const Segment& segment : all.segments) {
      EXPECT_EQ(segment.begin, at);
      at += segment.tokens;
    }
    EXPECT_EQ(at, tokens);
    EXPECT_EQ(all.tokens, tokens);
  }
  // Over lists of all lengths, each tile is drawn as often as its share says.
  constexpr int64_t kTiles = 97;
  std::vector<double> drawn(kTiles);
  double expected = 0, variance = 0;
  for (int64_t count = 1; count <= kTiles; ++count) {
    const SegmentList list =
        evaluation_segments(kTiles * protocol::kSegmentTokens, "s", count * protocol::kSegmentTokens);
    ASSERT_EQ(std::ssize(list.segments), count);
    int64_t end = 0;
    for (const Segment& segment : list.segments) {
      ASSERT_GE(segment.begin, end);
      end = segment.begin + segment.tokens;
      ASSERT_EQ(segment.begin % protocol::kSegmentTokens, 0);
      drawn[static_cast<size_t>(segment.begin / protocol::kSegmentTokens)] += 1;
    }
    const double p = static_cast<double>(count) / kTiles;
    expected += p;
    variance += p * (1 - p);
  }
  for (int64_t tile = 0; tile < kTiles; ++tile)
    EXPECT_NEAR(drawn[static_cast<size_t>(tile)], expected, 4 * std::sqrt(variance)) << "tile " << tile;
}

TEST(SegmentList, ItsHashSaysWhichTextIsScored) {
  const std::string hash = evaluation_segments(100'000, "a", 8192).hash;
  EXPECT_EQ(hash.size(), 16u);
  EXPECT_EQ(evaluation_segments(100'000, "a", 8192).hash, hash);
  EXPECT_EQ(evaluation_segments(100'000, "a", 86 * protocol::kSegmentTokens).hash, hash);  // the same segments
  EXPECT_NE(evaluation_segments(100'000, "b", 8192).hash, hash);
  EXPECT_NE(evaluation_segments(100'000, "a", 86 * protocol::kSegmentTokens + 1).hash, hash);
  EXPECT_NE(evaluation_segments(100'129, "a", 8192).hash, hash);
  CorpusManifest manifest;
  manifest.split_tokens = {1, 100'000, 5000, 5000};
  manifest.split_sha256 = {"t", "a", "b", "c"};
  EXPECT_EQ(evaluation_segments(manifest, Split::kSearch, 8192).hash, hash);
  EXPECT_NE(evaluation_segments(manifest, Split::kAudit, 8192).hash,
            evaluation_segments(manifest, Split::kLocked, 8192).hash);
}

TEST(EvalSample, EachScoredTokenBelongsToItsDocument) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const std::vector<uint16_t> tokens = split_of(static_cast<size_t>(1000 + 997 * seed), seed);
    std::vector<int64_t> document(tokens.size());
    for (size_t i = 1; i < tokens.size(); ++i)
      document[i] = tokens[i - 1] == kEndOfDocument ? static_cast<int64_t>(i) : document[i - 1];
    const SegmentList list = list_of(tokens, 1024);
    const EvalSample sample = eval_sample(tokens, list, 128);
    std::vector<std::pair<int64_t, bool>> expected, found;
    for (const Segment& segment : list.segments)
      for (int64_t i = segment.begin; i < segment.begin + segment.tokens; ++i)
        expected.emplace_back(document[static_cast<size_t>(i)], tokens[static_cast<size_t>(i)] != kEndOfDocument);
    for (const ScoredPiece& piece : sample.pieces)
      for (int32_t i = 0; i < piece.tokens; ++i) found.emplace_back(piece.document, i < piece.bytes);
    EXPECT_EQ(found, expected) << seed;
  }
}

TEST(EvalSample, NothingToMeasureAndDamagedTextAreRefused) {
  EXPECT_THROW(evaluation_segments(0, "s", 100), Error);
  EXPECT_THROW(evaluation_segments(1, "s", 100), Error);
  EXPECT_THROW(evaluation_segments(100, "s", 0), Error);
  const std::vector<uint16_t> only_ends(300, kEndOfDocument);
  EXPECT_THAT(testing::error_of([&] { eval_sample(only_ends, list_of(only_ends, 300), 16); }).what(),
              HasSubstr("no byte"));
  std::vector<uint16_t> damaged = split_of(300);
  damaged[140] = kVocabulary;
  EXPECT_THAT(testing::error_of([&] { eval_sample(damaged, list_of(damaged, 300), 16); }).what(), HasSubstr("damaged"));
}

}  // namespace
}  // namespace flywheel::data
