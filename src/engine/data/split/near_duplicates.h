// Which documents are near-duplicates of each other: copies, edited copies, and those of which the larger part stands
// in another.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/data/split/sketch.h"

namespace flywheel::data {

// Documents are of one cluster when their normalised texts are equal, or when they share at least `share` of the kept
// shingles of the one that has fewer of them, and at least `fewest`; clusters are the transitive closure.
struct Similarity {
  double share = 0.5;
  uint32_t fewest = 3;
};
struct Clusters {
  std::vector<uint32_t> cluster;  // of each document: the number of the cluster's first document
  std::vector<uint32_t> equal;    // likewise, by equal normalised texts alone
  std::vector<float> elsewhere;   // of each document: the share of its kept shingles that stand in other clusters
};
// Documents that share a shingle are candidates: all pairs of a short posting list, neighbours in a long one; so the
// time is about linear in the number of shingles. The result does not depend on `threads`.
Clusters near_duplicate_clusters(std::span<const Sketch> documents, std::span<const uint64_t> hashes, int threads = 1,
                                 const Similarity& similarity = {});

}  // namespace flywheel::data
