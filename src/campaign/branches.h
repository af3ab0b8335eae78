// Branched decays: which ladder run continues from which, so that one stable phase gives points on several rungs
// (docs/notes/branched-decays.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "campaign/run_book.h"

namespace flywheel::campaign {

inline constexpr std::string_view kInFull = "-full";  // ends the id of a run that is trained without its trunk

// The checkpoints of a run, but for the stable one. One that cannot be deleted only takes space.
void remove_checkpoints(const Path& run_directory);

// Not thread safe.
class Branches {
 public:
  Branches(const Lab& lab, const RunBook& book) : lab_(lab), book_(book) {}

  // `run`, branched from the trunk that saves most FLOPs. A trunk is a finished run of the same model and seed on a
  // lower rung whose stable checkpoint exists. A run that the ledger has already keeps its recorded trunk.
  PlannedRun branched(PlannedRun run) const;
  // True when the run failed at once because its trunk's checkpoint was missing or damaged. in_full() replaces it.
  bool lost_its_trunk(const PlannedRun& run) const;
  PlannedRun in_full(PlannedRun run) const;
  // Finished ladder runs of the first seed that have a stable checkpoint to branch from.
  std::vector<workload::SizedRun> trunks() const;
  // Deletes the stable checkpoints that a longer run of the same model and seed has superseded.
  void release() const;
  void release_all() const;
  // Records and prints the FLOPs that branching saved. Does nothing when no run branched.
  void report_savings() const;

 private:
  std::optional<ledger::RunRow> finished_trunk(const std::string& run) const;

  const Lab& lab_;
  const RunBook& book_;
};

}  // namespace flywheel::campaign
