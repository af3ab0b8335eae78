// What another sample of a split's text would have held other text for, and by how much a loss would then differ: the
// sampling error of whoever scores documents, runs and lab alike. Pure.
//
// Text is drawn by clusters of near-duplicates, each a document among others like it, and all blocks of a document that
// was cut are one cluster. Where a few documents are most of the text, that cannot be told of. One that has several
// blocks in a split is large enough to be in any other split too, with about the same share: it is a stratum, which its
// blocks sample, and nothing is claimed of other documents in its place. The rest is a stratum of clusters
// (docs/splits.md, Sampling error).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/cluster_error.h"

namespace flywheel {

// A scored document, or a block of one that was cut.
struct ScoredText {
  double y = 0, x = 0;
  int64_t source = 0;  // equal for near-duplicates, and for the blocks of one document
  bool block = false;
};

// What an error is over.
struct SampledUnits {
  int64_t clusters = 0;  // of near-duplicates; most are one document
  // Large documents that are strata of their own, and their blocks; and others that count as such, being too few.
  int64_t cut_documents = 0, blocks = 0;
  bool operator==(const SampledUnits&) const = default;
};
// As what stands after "over": "documents", "blocks of one document", "documents and blocks of 2 large ones".
std::string words(const SampledUnits& units);

// From this effective number of clusters on documents are what is drawn, however large.
inline constexpr double kEnoughClusters = 8;
// Blocks of one document whose effective number is below this are a cluster like any other.
inline constexpr double kFewestBlocks = 1.5;

struct SampledError {
  SampledUnits units;
  std::optional<ClusterError> error;  // of sum(y) / sum(x); empty: of one unit, or none
};
SampledError sampled_error(std::span<const ScoredText> texts);

}  // namespace flywheel
