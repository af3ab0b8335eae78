// What an evaluation says: the loss over the whole list of segments, of each document in it, and how far another draw
// of documents would have moved it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/cluster_error.h"
#include "base/sampled_text.h"
#include "engine/data/segments.h"

namespace flywheel::train {

struct DocumentLoss {
  int64_t begin = 0;  // where its first token stands in the split
  int64_t tokens = 0, bytes = 0;
  double nats = 0;
  std::optional<data::DocumentSource> source{};  // empty where the corpus does not say
};

struct SampleLoss {
  double loss = 0;           // nats per scored token
  double bits_per_byte = 0;  // total bits over the number of scored tokens that are bytes
  // Of bits_per_byte as an estimate for all text that the split is drawn from (base/sampled_text.h), each document for
  // itself where the corpus does not say what belongs together. Empty with fewer than two.
  std::optional<ClusterError> sampling{};
  std::optional<SampledUnits> units{};  // that it is over; empty where the corpus does not say
  int64_t tokens = 0, bytes = 0;
  std::string segments{};                 // hash of the list
  std::vector<DocumentLoss> documents{};  // in order
};

// `nats`: of every scored token, in the order of the list.
SampleLoss sample_loss(const data::EvalSample& sample, std::span<const double> nats);

}  // namespace flywheel::train
