// The training loss of a run while it trained, from its events.jsonl, thin enough to be drawn.
#pragma once

#include <vector>

#include "base/file_system.h"
#include "ledger/records/lab.h"

namespace flywheel::report {

struct TrainingPoint {
  double flops = 0, bits_per_byte = 0;
};
// From nats per token and tokens of the model's whole history.
struct TrainingUnits {
  double bits_per_byte_per_nat = 0, flops_per_token = 0;
};

// Of the training text, from nats per token; 0 where the corpus does not say.
double bits_per_byte_per_nat(const ledger::CorpusRecord& corpus);

// At most `most` points, at equal steps of ln FLOPs: each the mean of the losses that were logged there, so that none
// is made up. Steps are of 8% where that gives a dozen, so that a run over little compute is no noisier than the
// others. What a resumed run did again counts once. Empty where the folder was cleaned up, cannot be read, or holds no
// losses.
std::vector<TrainingPoint> training_curve(const Path& events_file, const TrainingUnits& units, int most);

}  // namespace flywheel::report
