// Sampling error over documents: what a loss, or a difference of two, would vary by if other text of the same kind had
// been scored. Near-duplicates count as one document, and large documents are sampled by their blocks
// (base/sampled_text.h). Pure.
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
  std::optional<int64_t> source{};  // equal for what is drawn together; empty: it is drawn for itself
  bool block = false;               // of a document that was cut
};
using DocumentSums = std::vector<DocumentSum>;

// Of one model's bits per byte. Empty for no documents; of one cluster alone it cannot be told (ClusterError).
std::optional<ClusterError> sampling_error(std::span<const DocumentSum> sums);
// Of the mean of the candidate's runs less that of the base's in bits per byte, all of them scored on the same
// documents. Paired by document, so that what makes a document hard for both does not count. Empty for no documents, no
// runs on one side, or where two evaluations are not of the same documents and bytes.
std::optional<ClusterError> paired_sampling_error(std::span<const DocumentSums> base,
                                                  std::span<const DocumentSums> candidate);
// The one that is the wider at this level, of rungs that are scored on the same documents: their errors do not average
// out.
std::optional<ClusterError> wider(const std::optional<ClusterError>& a, const std::optional<ClusterError>& b,
                                  double level);
// The interval of this level (0.9: 90%) with this further error, independent of its own.
Interval widened(const Interval& interval, const std::optional<ClusterError>& error, double level);

}  // namespace flywheel::evidence
