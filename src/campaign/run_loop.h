// Where the scripts of a campaign wait for runs: requested runs that the ledger does not have yet are given to the
// scheduler, which advances step by step under the campaign's driver.
#pragma once

#include <coroutine>
#include <vector>

#include "campaign/branches.h"
#include "campaign/budget.h"
#include "campaign/checkpoints.h"
#include "campaign/replicates.h"
#include "campaign/run_book.h"
#include "campaign/script.h"
#include "scheduler/scheduler.h"

namespace flywheel::campaign {

struct Interrupted {};  // thrown inside a script when the campaign was asked to stop

// Not thread safe.
class RunLoop {
 public:
  RunLoop(const Lab& lab, scheduler::Scheduler& scheduler, CampaignBudget& budget, RunBook& book,
          const Branches& branches, Replicates& replicates, Checkpoints& checkpoints)
      : lab_(lab),
        scheduler_(scheduler),
        budget_(budget),
        book_(book),
        branches_(branches),
        replicates_(replicates),
        checkpoints_(checkpoints) {}

  enum class IdleCores { kStayIdle, kReplicate };
  // Runs what is missing of `wanted` and returns the rows of all of them that the ledger has. A branch that lost its
  // trunk is replaced by the run in full. When the budget ends first, unfinished rows are returned as they are. Throws
  // Interrupted.
  Script<std::vector<ledger::RunRow>> ensure(std::vector<PlannedRun> wanted,
                                             IdleCores idle_cores = IdleCores::kStayIdle);
  // Returns to the driver once. Throws Interrupted.
  Script<> give_way();

  // For the driver: handles pending events, waits at most `most_seconds` for the next one, and resumes the script when
  // its runs have ended.
  void step(double most_seconds);

 private:
  struct Wait;

  std::vector<scheduler::Job> missing(const std::vector<PlannedRun>& wanted);

  const Lab& lab_;
  scheduler::Scheduler& scheduler_;
  CampaignBudget& budget_;
  RunBook& book_;
  const Branches& branches_;
  Replicates& replicates_;
  Checkpoints& checkpoints_;
  std::coroutine_handle<> waiting_;
  bool for_runs_ = false;  // else only for its next turn
  scheduler::Status status_ = scheduler::Status::kFinished;
};

}  // namespace flywheel::campaign
