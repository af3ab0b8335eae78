// Checkpoints on disk: which of a campaign's runs keep theirs, and how much room a campaign will take.
#pragma once

#include <set>
#include <string>

#include "campaign/options.h"

namespace flywheel::campaign {

// Deletes the checkpoints of runs that the ledger has as done and that nothing will read again. Kept are: those of the
// best runs (the best one is evaluated and sampled at the end, the next ones stand in for it), of the runs of a total
// gain until they were scored on the locked split, and of every run that may still go on. Stable checkpoints are
// Branches' own. A run that has lost its checkpoint gives the same numbers when it is trained again, so deleting too
// much costs time and never a result. Not thread safe.
class Checkpoints {
 public:
  explicit Checkpoints(const Lab& lab) : lab_(lab) {}

  // Cheap when no run has ended since the last call.
  void release();
  // At a campaign's end: runs that gave up, or diverged, will not go on.
  void release_all();

 private:
  void remove_unneeded(bool at_end);

  const Lab& lab_;
  std::set<std::string> removed_;
  size_t ended_ = 0;
};

// Of runs/, in bytes, at the moment when it holds most: `largest` in every slot with its optimizer's state, twice,
// stable checkpoints of `trunks`, the best models, and the logs of `runs` runs.
double predicted_disk_bytes(int slots, const workload::SizedRun& largest, const std::vector<workload::SizedRun>& trunks,
                            size_t runs);
// "needs about 120 MB of disk, 30 GB are free", and whether that is enough.
std::string disk_in_words(const Path& lab, double needed_bytes);

}  // namespace flywheel::campaign
