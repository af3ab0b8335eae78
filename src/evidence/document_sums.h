// Sampling error over documents: what a loss, or a difference of two, would vary by if other documents of the same
// source had been scored. Documents are the clusters, since bytes of one are alike (base/cluster_error.h). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/cluster_error.h"
#include "evidence/multiplier.h"

namespace flywheel::evidence {

// What one evaluation says of one document.
struct DocumentSum {
  int64_t document = 0;  // its name within the list of segments
  double bits = 0, bytes = 0;
};
using DocumentSums = std::vector<DocumentSum>;

// Of one model's bits per byte. Empty for no documents; of one alone it cannot be told (ClusterError).
std::optional<ClusterError> sampling_error(std::span<const DocumentSum> sums);
// Of the mean difference of pairs in bits per byte, candidate minus base, each pair scored on the same documents.
// Paired by document, so that what makes a document hard for both does not count. Empty for no documents, no pairs, or
// where two evaluations are not of the same documents and bytes.
std::optional<ClusterError> paired_sampling_error(std::span<const DocumentSums> base,
                                                  std::span<const DocumentSums> candidate);
// The one that is the wider at this level, of rungs that are scored on the same documents: their errors do not average
// out.
std::optional<ClusterError> wider(const std::optional<ClusterError>& a, const std::optional<ClusterError>& b,
                                  double level);
// The interval of this level (0.9: 90%) with this further error, independent of its own.
Interval widened(const Interval& interval, const std::optional<ClusterError>& error, double level);

}  // namespace flywheel::evidence
