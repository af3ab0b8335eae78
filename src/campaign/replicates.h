// Replicates: ladder runs with further seeds, which use idle cores and the rest of the budget to measure the noise.
#pragma once

#include <optional>
#include <vector>

#include "campaign/branches.h"
#include "campaign/budget.h"
#include "campaign/run_book.h"

namespace flywheel::campaign {

// Not thread safe.
class Replicates {
 public:
  Replicates(const Lab& lab, RunBook& book, const Branches& branches) : lab_(lab), book_(book), branches_(branches) {}

  // Allows replicates of this run. Those that an earlier process planned are put into the run book: numbering continues
  // after them, and they count for the throughput.
  void allow(const PlannedRun& run);
  // A further replicate expected to end within `seconds`, of the rung with the fewest replicates for its cost; not yet
  // in the run book. Empty when none fits.
  std::optional<PlannedRun> choose(double seconds) const;
  // As many as fit side by side into the rest of the budget, longest first, put into the run book. Empty when none
  // fits.
  std::vector<PlannedRun> batch(const CampaignBudget& budget);
  // The next one as a job for the scheduler's idle cores, put into the run book.
  std::optional<scheduler::Job> next_job(double seconds);

 private:
  PlannedRun replicate_of(const PlannedRun& base, int number) const;
  void recall(const PlannedRun& base);

  const Lab& lab_;
  RunBook& book_;
  const Branches& branches_;
  std::vector<PlannedRun> pool_;  // replicate 0 of each
};

}  // namespace flywheel::campaign
