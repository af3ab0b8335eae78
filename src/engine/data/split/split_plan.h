// Which text goes to which split: clusters of near-duplicates stay together, and documents that are large beside the
// corpus are cut into contiguous blocks with gaps between the splits. Pure; a function of the documents' texts only.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "protocol/splits.h"

namespace flywheel::data {

// Documents are sorted by digest.
struct PlanDocument {
  uint64_t digest = 0;  // its first bytes
  uint64_t bytes = 0;
  uint32_t cluster = 0;  // the number of the cluster's first document
  float elsewhere = 0;   // share of its shingles that stand in other clusters
};

// A part of a document; whole documents are one piece.
struct Piece {
  uint32_t document = 0;
  uint64_t begin = 0, end = 0;
  protocol::Split split = protocol::Split::kTrain;
  uint32_t cluster = 0;  // its document's
  bool block = false;    // of a document that was cut
};

struct SplitPlan {
  std::vector<Piece> pieces;  // by document, then begin
  int64_t cut_documents = 0, cut_bytes = 0;
  int64_t gap_bytes = 0;  // between the blocks of cut documents: in no split
  int64_t clustered = 0;  // documents beyond the first of their cluster
  int64_t largest_cluster_bytes = 0, largest_cluster_documents = 0;
  int64_t train_only_bytes = 0;  // of clusters too large, or too much like others, to judge by
};

// Of the corpus's bytes; the rest is trained on.
inline constexpr double kSearchShare = 0.04, kAuditShare = 0.04, kLockedShare = 0.02;

// How a plan treats what is large: from the first to the last until every split holds enough documents.
struct SplitRule {
  double large_share = 0.005;      // of the corpus: documents above are cut
  uint64_t large_bytes = 8 << 10;  // but never up to this size
  double cluster_share = 0.25;     // of a split: clusters of several documents above are not judged by
};
inline constexpr SplitRule kSplitRules[] = {
    {0.005, 8 << 10, 0.25}, {0.005, 8 << 10, 1}, {0.002, 2 << 10, 1}, {0, 0, 1}};
inline constexpr int kSplitRuleVersion = 4;
std::string split_rule_text();

// `snap(document, position)` is where a cut near the position may fall: from there up to kMostSnapBytes further on.
inline constexpr uint64_t kMostSnapBytes = 200;
SplitPlan plan_splits(std::span<const PlanDocument> documents, const SplitRule& rule,
                      const std::function<uint64_t(uint32_t document, uint64_t position)>& snap);

}  // namespace flywheel::data
