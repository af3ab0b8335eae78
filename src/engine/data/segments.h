// The text that evaluations score: one list of segments per split and number of tokens, the same for every recipe, and
// the windows in which a model of some context reads it. Why: were it the context that decides which text is scored,
// two recipes would differ by their texts, in every pair alike.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/data/corpus.h"
#include "protocol/segments.h"

namespace flywheel::data {

// Tokens [begin, begin + tokens) of a split, as targets. They lie anywhere: also over the end of a document.
struct Segment {
  int64_t begin = 0;
  int32_t tokens = 0;
};

struct SegmentList {
  std::vector<Segment> segments;  // by position, disjoint
  int64_t tokens = 0;             // in all
  std::string hash;               // 16 hex digits: of the split's text and the segments; other text has another one
};

// A split of `split_tokens` tokens is cut into tiles of kSegmentTokens, the last one shorter, and the tiles into as
// many strata as segments are wanted; a hash takes one tile of each. So every token is as likely as any other to be
// scored, whatever its document's length. As many segments as hold `wanted_tokens`, or all of the split.
// `split_sha256`: of its token file. Throws kBadInput where there is nothing to score.
SegmentList evaluation_segments(int64_t split_tokens, const std::string& split_sha256, int64_t wanted_tokens);
SegmentList evaluation_segments(const CorpusManifest& manifest, Split split, int64_t wanted_tokens);

// Consecutive scored tokens of one document; a document is known by where its first token stands in the split.
struct ScoredPiece {
  int64_t document = 0;
  int32_t tokens = 0;
  int32_t bytes = 0;  // tokens that are bytes, not the end of the document: the denominator of bits per byte
  std::optional<DocumentSource> source{};  // of the document; empty where the corpus does not say
};

// A list as a model of one context reads it: each segment at the end of a window of `context` inputs, that reads over
// the borders of documents as the windows of training do; in parts at the ends of several windows where it is longer
// than one may score (protocol::most_scored). An end of document stands before the split's first token. Moved, not
// copied: some windows are copies of its own.
struct EvalSample {
  std::string segments;                            // hash of the list
  std::vector<std::span<const uint16_t>> windows;  // 2 to context + 1 tokens: inputs, and targets one further
  std::vector<int32_t> scored;                     // of each: its last targets that count, in order all of the list
  std::vector<int64_t> first_scored;               // of each: how many are scored in the windows before it
  std::vector<ScoredPiece> pieces;                 // of all that is scored, in order
  int64_t tokens = 0, bytes = 0;
  std::vector<std::unique_ptr<uint16_t[]>> copies;
};
// `tokens`: the whole split; must outlive the sample. Throws kBadInput on a damaged token file.
EvalSample eval_sample(std::span<const uint16_t> tokens, const SegmentList& list, int context);
EvalSample eval_sample(const Corpus& corpus, Split split, int64_t wanted_tokens, int context);

}  // namespace flywheel::data
