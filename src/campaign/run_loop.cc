#include "campaign/run_loop.h"

#include <algorithm>

#include "base/error.h"

namespace flywheel::campaign {

struct RunLoop::Wait {
  RunLoop& loop;
  bool for_runs;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> script) noexcept {
    loop.waiting_ = script;
    loop.for_runs_ = for_runs;
  }
  scheduler::Status await_resume() const noexcept { return loop.status_; }
};

std::vector<scheduler::Job> RunLoop::missing(const std::vector<PlannedRun>& wanted) {
  std::vector<scheduler::Job> jobs;
  for (const PlannedRun& run : wanted) {
    book_.remember(run);
    const auto row = lab_.ledger.run(run.id);
    if (row && row->recipe_hash != run.configuration->identity())
      throw_bad_input(
          "the lab {} cannot go on: its run {} trained another configuration than this version of the program would "
          "train under that name, so it was begun by a version that searched in another order. Begin a new lab with "
          "another --dir; status, runs, report and findings still show what this one has.",
          lab_.options.lab.string(), run.id);
    if (row && row->gave_up() && !run.resumes) continue;
    if (!row || !row->ended()) jobs.push_back(book_.job_of(run));
  }
  return jobs;
}

Script<std::vector<ledger::RunRow>> RunLoop::ensure(std::vector<PlannedRun> wanted, IdleCores idle_cores) {
  bool waited = false;
  while (true) {
    for (PlannedRun& run : wanted)
      if (branches_.lost_its_trunk(run)) run = branches_.in_full(run);
    std::vector<scheduler::Job> jobs = missing(wanted);
    if (jobs.empty() || budget_.is_spent()) break;
    scheduler::Filler filler;
    if (idle_cores == IdleCores::kReplicate && budget_.is_time())
      filler = [this](double seconds_until_free) {
        return replicates_.next_job(std::min(seconds_until_free, budget_.seconds_left()));
      };
    scheduler_.begin(std::move(jobs), budget_.deadline(), filler);
    Wait wait{*this, true};
    const scheduler::Status status = co_await wait;
    waited = true;
    budget_.save_seconds(true);
    for (PlannedRun& run : wanted)  // a run that gives up again is not resumed for ever
      if (run.resumes) {
        const auto row = lab_.ledger.run(run.id);
        if (row && row->gave_up()) run.resumes = false;
      }
    if (status == scheduler::Status::kInterrupted) throw Interrupted{};
    if (status == scheduler::Status::kHeld)
      throw Error(
          ErrorCode::kStoppedEarly,
          fmt::format("{}. Nothing gets on with that, so the lab stops; no run has failed, and the time was not "
                      "charged. The same command goes on from here",
                      scheduler_.held_by()));
    if (status == scheduler::Status::kOutOfBudget) budget_.mark_spent();
  }
  // A resumed campaign asks for thousands of runs that have ended: each such answer unwinds the stack to the driver, as
  // a script that never suspends would grow it with every one.
  if (!waited) {
    Wait turn{*this, false};
    co_await turn;
  }
  book_.observe();
  branches_.release();
  std::vector<ledger::RunRow> rows;
  for (const PlannedRun& run : wanted)
    if (auto row = lab_.ledger.run(run.id)) rows.push_back(*row);
  co_return rows;
}

Script<> RunLoop::give_way() {
  Wait wait{*this, false};
  co_await wait;
  if (lab_.should_stop && lab_.should_stop()) throw Interrupted{};
}

void RunLoop::step(double most_seconds) {
  if (!waiting_) return;
  if (for_runs_) {
    if (lab_.should_stop && lab_.should_stop()) scheduler_.interrupt();
    status_ = scheduler_.step(most_seconds);
    budget_.exclude(scheduler_.take_held_seconds());
    checkpoints_.release();
    if (status_ == scheduler::Status::kWorking) return;
  }
  std::exchange(waiting_, nullptr).resume();
}

}  // namespace flywheel::campaign
