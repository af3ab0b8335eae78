#include "engine/data/segments.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"
#include "base/hash.h"
#include "engine/data/token_file.h"

namespace flywheel::data {
namespace {

constexpr int64_t kTile = protocol::kSegmentTokens;
constexpr uint64_t kSeed = 0x7365676d656e7473;  // "segments"
constexpr size_t kHashDigits = 16;

// i * count / of, without overflow.
int64_t share(int64_t i, int64_t count, int64_t of) {
  return i * (count / of) + i * (count % of) / of;
}

std::string hash_of(const SegmentList& list, const std::string& split_sha256) {
  Sha256 sha256;
  std::string text = fmt::format("flywheel segments 1 {}", split_sha256);
  for (const Segment& segment : list.segments) {
    text += fmt::format("\n{} {}", segment.begin, segment.tokens);
    if (text.size() < 1 << 16) continue;
    sha256.update(text.data(), text.size());
    text.clear();
  }
  sha256.update(text.data(), text.size());
  return sha256.hex().substr(0, kHashDigits);
}

// One past the last end of document in [from, to), or -1.
int64_t document_start(std::span<const uint16_t> tokens, int64_t from, int64_t to) {
  constexpr int64_t kBlock = 64;
  const auto has_end = [&](int64_t begin) {
    bool any = false;
    for (int64_t i = begin; i < begin + kBlock; ++i) any |= tokens[static_cast<size_t>(i)] == kEndOfDocument;
    return any;
  };
  while (to - from >= kBlock && !has_end(to - kBlock)) to -= kBlock;
  for (; to > from; --to)
    if (tokens[static_cast<size_t>(to - 1)] == kEndOfDocument) return to;
  return -1;
}

std::vector<ScoredPiece> pieces_of(std::span<const uint16_t> tokens, const SegmentList& list) {
  std::vector<ScoredPiece> pieces;
  int64_t document = 0, read = 0;  // that of token `read`, before which all has been looked at
  for (const Segment& segment : list.segments) {
    const int64_t start = document_start(tokens, read, segment.begin);
    if (start >= 0) document = start;
    read = segment.begin + segment.tokens;
    bool fresh = true;
    for (int64_t i = segment.begin; i < read; ++i) {
      if (fresh) pieces.push_back({.document = document});
      fresh = tokens[static_cast<size_t>(i)] == kEndOfDocument;
      ++pieces.back().tokens;
      pieces.back().bytes += fresh ? 0 : 1;
      if (fresh) document = i + 1;
    }
  }
  return pieces;
}

}  // namespace

SegmentList evaluation_segments(int64_t split_tokens, const std::string& split_sha256, int64_t wanted_tokens) {
  if (split_tokens < 2 || wanted_tokens < 1)
    throw_bad_input("evaluation: a split of {} tokens and a sample of {} give nothing to measure", split_tokens,
                    wanted_tokens);
  const int64_t tiles = (split_tokens + kTile - 1) / kTile;
  const int64_t count = std::min(tiles, (std::min(wanted_tokens, split_tokens) + kTile - 1) / kTile);
  const uint64_t key = mix64(mix64(kSeed ^ static_cast<uint64_t>(tiles)) ^ static_cast<uint64_t>(count));
  // Strata differ in size by one tile: where they begin is drawn too, or the first tiles would be likelier than the
  // last.
  const auto turned = static_cast<int64_t>(mix64(key) % static_cast<uint64_t>(tiles));
  SegmentList list;
  list.segments.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t low = share(i, tiles, count), high = share(i + 1, tiles, count);
    const auto drawn = mix64(key ^ mix64(static_cast<uint64_t>(i))) % static_cast<uint64_t>(high - low);
    const int64_t begin = (turned + low + static_cast<int64_t>(drawn)) % tiles * kTile;
    const int64_t length = std::min(kTile, split_tokens - begin);
    list.segments.push_back({begin, static_cast<int32_t>(length)});
    list.tokens += length;
  }
  std::sort(list.segments.begin(), list.segments.end(),
            [](const Segment& a, const Segment& b) { return a.begin < b.begin; });
  list.hash = hash_of(list, split_sha256);
  return list;
}

SegmentList evaluation_segments(const CorpusManifest& manifest, Split split, int64_t wanted_tokens) {
  const auto i = static_cast<size_t>(split);
  return evaluation_segments(manifest.split_tokens[i], manifest.split_sha256[i], wanted_tokens);
}

EvalSample eval_sample(std::span<const uint16_t> tokens, const SegmentList& list, int context) {
  CHECK(context >= 1, "context {}", context);
  const int64_t most = protocol::most_scored(context);
  EvalSample sample;
  sample.segments = list.hash;
  for (const Segment& segment : list.segments) {
    const int64_t end = segment.begin + segment.tokens;
    CHECK(segment.begin >= 0 && end <= static_cast<int64_t>(tokens.size()), "segment {} of {}", segment.begin,
          tokens.size());
    // The first window scores what the full windows after it leave.
    int64_t scored = (segment.tokens - 1) % most + 1;
    for (int64_t at = segment.begin + scored; at <= end; at += scored = most) {
      const int64_t first = std::max<int64_t>(at - 1 - context, -1);
      if (first >= 0) {
        sample.windows.push_back(tokens.subspan(static_cast<size_t>(first), static_cast<size_t>(at - first)));
      } else {
        const auto length = static_cast<size_t>(at) + 1;
        sample.copies.push_back(std::make_unique<uint16_t[]>(length));
        uint16_t* copy = sample.copies.back().get();
        copy[0] = kEndOfDocument;
        std::copy_n(tokens.begin(), at, copy + 1);
        sample.windows.push_back({copy, length});
      }
      check_tokens(sample.windows.back());
      sample.scored.push_back(static_cast<int32_t>(scored));
      sample.first_scored.push_back(sample.tokens);
      sample.tokens += scored;
    }
  }
  sample.pieces = pieces_of(tokens, list);
  for (const ScoredPiece& piece : sample.pieces) sample.bytes += piece.bytes;
  if (sample.bytes == 0)
    throw_bad_input("evaluation: the {} tokens asked for hold no byte of text: ask for more", list.tokens);
  return sample;
}

EvalSample eval_sample(const Corpus& corpus, Split split, int64_t wanted_tokens, int context) {
  EvalSample sample =
      eval_sample(corpus.tokens(split), evaluation_segments(corpus.manifest(), split, wanted_tokens), context);
  if (const auto sources = corpus.sources(split); !sources.empty())
    for (ScoredPiece& piece : sample.pieces) piece.source = source_of(sources, piece.document);
  return sample;
}

}  // namespace flywheel::data
