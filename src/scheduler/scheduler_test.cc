// The loop on a virtual clock with fake processes: order, budget, retries, stalls, fillers.
#include "scheduler/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"
#include "recipe/phases.h"
#include "testing/fake_clock.h"
#include "testing/fake_runner.h"
#include "testing/jobs.h"
#include "testing/temporary_folder.h"

namespace flywheel::scheduler {
namespace {

using flywheel::testing::FakeClock;
using flywheel::testing::FakeRunner;
using flywheel::testing::flops_of;
using flywheel::testing::Script;
using flywheel::testing::small_job;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using End = Script::End;

struct Lab {
  explicit Lab(Limits limits = {.slots = 2}) : ledger(ledger::Ledger::open(folder.path())) {
    scheduler = std::make_unique<Scheduler>(*ledger, runner, clock, folder.path() / "runs", limits);
    scheduler->recover();
  }
  Verdict run(const std::vector<Job>& jobs, Deadline deadline = {}) { return scheduler->run(jobs, deadline, {}, {}); }
  std::string state(const std::string& id) { return ledger->run(id) ? ledger->run(id)->state : "none"; }

  flywheel::testing::TemporaryFolder folder;
  FakeClock clock;
  FakeRunner runner{clock};
  std::unique_ptr<ledger::Ledger> ledger;
  std::unique_ptr<Scheduler> scheduler;
};

std::vector<Job> jobs(int n, double seconds = 1) {
  std::vector<Job> list;
  for (int i = 0; i < n; ++i) list.push_back(small_job(fmt::format("r{}", i), seconds));
  return list;
}

TEST(Scheduler, RunsEverythingOnceAndRecordsWhatItCost) {
  Lab lab;
  EXPECT_EQ(lab.run(jobs(5)), Verdict::kFinished);
  EXPECT_EQ(lab.ledger->spend().runs_done, 5);
  EXPECT_DOUBLE_EQ(lab.ledger->spend().train_flops, 5 * flops_of(small_job("x")));
  // An end is seen one poll late, and runs are all of one second.
  EXPECT_NEAR(lab.ledger->spend().slot_seconds, 5, 5 * 0.05);
  const auto row = *lab.ledger->run("r0");
  EXPECT_EQ(row.bits_per_byte, 2.0);
  EXPECT_EQ(row.flops_done, flops_of(small_job("x")));
  EXPECT_EQ(lab.ledger->run_curve("r0").size(), 4u);
  EXPECT_EQ(lab.runner.most_running, 2);
  EXPECT_THAT(lab.ledger->verify().problems, IsEmpty());
}

TEST(Scheduler, AskingAgainForFinishedRunsCostsNothing) {
  Lab lab;
  lab.run(jobs(3));
  const int64_t size = lab.ledger->size();
  EXPECT_EQ(lab.run(jobs(3)), Verdict::kFinished);
  EXPECT_EQ(lab.ledger->size(), size);
  EXPECT_EQ(lab.runner.starts["r0"], 1);
}

TEST(Scheduler, CrashedRunIsTriedOnceMoreAndItsReasonKept) {
  Lab lab;
  lab.runner.scripts["r0"] = {{.seconds = 2, .end = End::kCrash}, {.seconds = 2}};
  lab.runner.scripts["r1"] = {{.seconds = 2, .end = End::kCrash}};
  EXPECT_EQ(lab.run(jobs(2)), Verdict::kFinished);
  EXPECT_EQ(lab.state("r0"), "done");
  EXPECT_EQ(lab.runner.starts["r0"], 2);
  EXPECT_THAT(lab.ledger->records("attempt")[0].payload.at("reason"), HasSubstr("killed by signal 11"));
  EXPECT_EQ(lab.state("r1"), "failed");
  EXPECT_EQ(lab.runner.starts["r1"], 2);
  EXPECT_THAT(lab.ledger->run("r1")->reason, HasSubstr("killed by signal 11"));
  // Crashed half way with a checkpoint there: nothing was trained twice.
  EXPECT_DOUBLE_EQ(lab.ledger->run("r0")->spent_flops, flops_of(small_job("x")));
}

TEST(Scheduler, FailuresThatWouldComeAgainAreFinal) {
  for (const char* reason : {"diverged at step 10: loss is nan", "memory: 3 GB", "input: no such corpus"}) {
    Lab lab;
    lab.runner.scripts["r0"] = {{.end = End::kFail, .reason = reason}};
    lab.run(jobs(1));
    EXPECT_EQ(lab.state("r0"), "failed") << reason;
    EXPECT_EQ(lab.ledger->run("r0")->reason, reason);
    EXPECT_EQ(lab.runner.starts["r0"], 1) << reason;
  }
}

TEST(Scheduler, SilentChildIsKilledAndTriedAgain) {
  Lab lab;
  lab.runner.scripts["r0"] = {{.seconds = 10, .end = End::kStall}, {.seconds = 10}};
  EXPECT_EQ(lab.run(jobs(1)), Verdict::kFinished);
  EXPECT_EQ(lab.state("r0"), "done");
  EXPECT_THAT(lab.ledger->records("attempt")[0].payload.at("reason"), HasSubstr("stalled: no event for 120 s"));
}

TEST(Scheduler, DeadlineStopsChildrenWithACheckpointAndTheyGoOnLater) {
  Lab lab;
  lab.runner.seconds_of = [](const recipe::RunSpec&) { return 100.0; };
  const double begin = lab.clock.now_seconds();
  EXPECT_EQ(lab.run(jobs(2), {.at_clock_seconds = begin + 60}), Verdict::kOutOfBudget);
  EXPECT_NEAR(lab.clock.now_seconds(), begin + 60, 0.3);
  EXPECT_EQ(lab.state("r0"), "stopped");
  EXPECT_EQ(lab.runner.running(), 0);
  EXPECT_EQ(lab.run(jobs(2)), Verdict::kFinished);
  EXPECT_EQ(lab.ledger->run("r0")->attempts, 2);
  EXPECT_EQ(lab.ledger->run("r0")->failed_attempts, 0);
  EXPECT_DOUBLE_EQ(lab.ledger->spend().train_flops, 2 * flops_of(small_job("x")));
}

TEST(Scheduler, ARunThatGivesUpIsOverUntilSomebodyAsksForTheRest) {
  Lab lab;
  std::vector<Job> wanted = jobs(2);
  wanted[0].spec.stop_above = recipe::StopAbove{0.5, 2.4};  // the fake's curve is at 2.5 half way
  EXPECT_EQ(lab.run(wanted), Verdict::kFinished);
  EXPECT_EQ(lab.state("r0"), "stopped");
  EXPECT_TRUE(lab.ledger->run("r0")->gave_up());
  EXPECT_FALSE(lab.ledger->run("r0")->ended());
  EXPECT_EQ(lab.ledger->run_curve("r0").size(), 2u);
  EXPECT_DOUBLE_EQ(lab.ledger->run("r0")->spent_flops, 0.5 * flops_of(small_job("x")));
  EXPECT_EQ(lab.state("r1"), "done");
  // A lab that comes back lets it be.
  lab.scheduler = std::make_unique<Scheduler>(*lab.ledger, lab.runner, lab.clock, lab.folder.path() / "runs", Limits{});
  lab.scheduler->recover();
  EXPECT_EQ(lab.run({jobs(3)[2]}), Verdict::kFinished);
  EXPECT_EQ(lab.runner.starts["r0"], 1);
  wanted[0].spec.stop_above.reset();
  EXPECT_EQ(lab.run(wanted), Verdict::kFinished);
  EXPECT_EQ(lab.state("r0"), "done");
  EXPECT_EQ(lab.ledger->run("r0")->attempts, 2);
  EXPECT_EQ(lab.ledger->run("r0")->failed_attempts, 0);
  EXPECT_DOUBLE_EQ(lab.ledger->run("r0")->spent_flops, flops_of(small_job("x")));
  EXPECT_THAT(lab.ledger->verify().problems, IsEmpty());
}

TEST(Scheduler, ChildThatIgnoresTheDeadlineIsKilledAfterTheGrace) {
  Lab lab;
  lab.runner.scripts["r0"] = {{.seconds = 1000, .end = End::kIgnoreSigterm}};
  const double begin = lab.clock.now_seconds();
  EXPECT_EQ(lab.run(jobs(1), {.at_clock_seconds = begin + 10}), Verdict::kOutOfBudget);
  EXPECT_NEAR(lab.clock.now_seconds(), begin + 15, 0.3);
  EXPECT_EQ(lab.state("r0"), "stopped");
}

TEST(Scheduler, InterruptStopsEverything) {
  Lab lab;
  lab.runner.seconds_of = [](const recipe::RunSpec&) { return 100.0; };
  const double begin = lab.clock.now_seconds();
  const auto stop = [&] { return lab.clock.now_seconds() > begin + 5; };
  EXPECT_EQ(lab.scheduler->run(jobs(3), {}, stop, {}), Verdict::kInterrupted);
  EXPECT_EQ(lab.runner.running(), 0);
  EXPECT_EQ(lab.state("r2"), "planned");
}

TEST(Scheduler, FlopsAreReservedBeforeARunStarts) {
  Lab lab;
  const double each = flops_of(small_job("x"));
  EXPECT_EQ(lab.run(jobs(5), {.flops = 3 * each}), Verdict::kOutOfBudget);
  EXPECT_EQ(lab.ledger->spend().runs_done, 3);
  EXPECT_DOUBLE_EQ(lab.ledger->spend().train_flops, 3 * each);
  EXPECT_EQ(lab.run(jobs(5), {.flops = 5 * each}), Verdict::kFinished);
}

// A job of `steps` that goes on from `trunk` where that one begins its decay.
Job branched_job(const Lab& lab, const std::string& id, int64_t steps, const Job& trunk) {
  Job job = small_job(id);
  job.spec.size.steps = steps;
  job.spec.size.batch_sequences += 1;
  job.spec.size = recipe::branched_size(job.spec.recipe, job.spec.size, trunk.spec.size).value();
  job.spec.branch = lab.folder.path() / "runs" / trunk.spec.id;
  return job;
}

TEST(Scheduler, ABranchedRunReservesAndPaysOnlyForItsOwnPart) {
  Lab lab;
  Job trunk = small_job("trunk");
  trunk.spec.keep_stable = true;
  lab.run({trunk});
  const Job branch = branched_job(lab, "branch", 40, trunk);
  const double own = recipe::new_training_flops(branch.spec.recipe, branch.spec.size);
  ASSERT_LT(own, 0.9 * flops_of(branch));
  lab.runner.scripts["branch"] = {{.seconds = 100}};
  // Stopped on its way and continued: still paid once.
  EXPECT_EQ(lab.run({branch}, {.at_clock_seconds = lab.clock.now_seconds() + 70}), Verdict::kOutOfBudget);
  EXPECT_EQ(lab.run({branch}, {.flops = flops_of(trunk) + own}), Verdict::kFinished);
  const auto row = *lab.ledger->run("branch");
  EXPECT_EQ(row.state, "done");
  EXPECT_EQ(row.attempts, 2);
  EXPECT_DOUBLE_EQ(row.flops, flops_of(branch));
  EXPECT_DOUBLE_EQ(row.flops_done, flops_of(branch));
  EXPECT_EQ(row.tokens_done, static_cast<double>(branch.spec.size.tokens()));
  EXPECT_DOUBLE_EQ(lab.ledger->spend().train_flops, flops_of(trunk) + own);
  EXPECT_EQ(lab.ledger->record(row.record)->payload.at("branch"), "trunk");
}

TEST(Scheduler, ABranchWhoseTrunkIsGoneFailsForGoodAndCostsNothing) {
  Lab lab;
  const Job branch = branched_job(lab, "branch", 40, small_job("trunk"));
  EXPECT_EQ(lab.run({branch}), Verdict::kFinished);
  EXPECT_EQ(lab.state("branch"), "failed");
  EXPECT_THAT(lab.ledger->run("branch")->reason, HasSubstr("input: branch"));
  EXPECT_EQ(lab.runner.starts["branch"], 1);
  EXPECT_EQ(lab.ledger->spend().train_flops, 0);
}

TEST(Scheduler, RunThatWouldEndAfterTheDeadlineIsNotStarted) {
  Lab lab;
  auto list = jobs(2);
  list[0].expected_seconds = 1000;
  EXPECT_EQ(lab.run(list, {.at_clock_seconds = lab.clock.now_seconds() + 50}), Verdict::kOutOfBudget);
  EXPECT_EQ(lab.state("r0"), "planned");
  EXPECT_EQ(lab.state("r1"), "done");
}

TEST(Scheduler, MemoryIsNeverPromisedTwiceAndWhatCannotFitIsRefused) {
  Lab lab({.slots = 4, .memory_bytes = 100});
  auto list = jobs(5);
  for (Job& job : list) job.memory_bytes = 45;
  list[4].memory_bytes = 101;
  EXPECT_EQ(lab.run(list), Verdict::kFinished);
  EXPECT_EQ(lab.runner.most_running, 2);
  EXPECT_EQ(lab.state("r4"), "failed");
  EXPECT_THAT(lab.ledger->run("r4")->reason, HasSubstr("memory: needs 101 bytes, 100 are allowed"));
  EXPECT_EQ(lab.runner.starts["r4"], 0);
}

TEST(Scheduler, SlotsShareTheCoresEvenly) {
  Lab lab({.slots = 2, .cpus = {4, 5, 6, 7}});
  auto list = jobs(3);
  list[0].spec.threads = 2;  // both slots
  list[0].priority = 1;
  lab.run(list);
  EXPECT_EQ(lab.runner.cpus_seen["r0"], (std::set<int>{4, 5, 6, 7}));
  EXPECT_EQ(lab.runner.cpus_seen["r1"], (std::set<int>{4, 5}));
  EXPECT_EQ(lab.runner.cpus_seen["r2"], (std::set<int>{6, 7}));
}

TEST(Scheduler, FillersUseIdleSlotsAndGoOnIntoTheNextCall) {
  Lab lab;
  lab.runner.seconds_of = [](const recipe::RunSpec& spec) { return spec.id[0] == 'f' ? 7.0 : 10.0; };
  int asked = 0;
  double until_free = 0;
  const auto filler = [&](double seconds) -> std::optional<Job> {
    until_free = seconds;
    return small_job(fmt::format("f{}", asked++), 7);
  };
  EXPECT_EQ(lab.scheduler->run(jobs(1, 10), {}, {}, {}, filler), Verdict::kFinished);
  EXPECT_EQ(asked, 2);
  EXPECT_GT(until_free, 1);
  EXPECT_LT(until_free, 4);
  EXPECT_EQ(lab.state("f0"), "done");
  EXPECT_EQ(lab.state("f1"), "running");
  EXPECT_EQ(lab.run({small_job("f1", 7)}), Verdict::kFinished);
  EXPECT_EQ(lab.runner.starts["f1"], 1);
  EXPECT_EQ(lab.state("f1"), "done");
  EXPECT_GT(lab.scheduler->busy_slot_seconds() / lab.scheduler->passed_slot_seconds(), 0.8);
}

TEST(Scheduler, FillerThatIsKnownOrEmptyDoesNotSpin) {
  Lab lab;
  lab.runner.seconds_of = [](const recipe::RunSpec&) { return 20.0; };
  int asked = 0;
  const auto filler = [&](double) -> std::optional<Job> {
    if (++asked % 2 == 0) return std::nullopt;
    return small_job("r0");
  };
  EXPECT_EQ(lab.scheduler->run(jobs(1, 10), {}, {}, {}, filler), Verdict::kFinished);
  EXPECT_LE(asked, 22);  // once a second
}

TEST(Scheduler, ProgressCountsEveryWantedJob) {
  Lab lab;
  Progress last;
  bool consistent = true;
  lab.scheduler->run(jobs(5, 1), {}, {}, [&](const Progress& p) {
    consistent = consistent && p.running + p.waiting + p.done + p.failed == 5 && p.running <= 2;
    last = p;
  });
  EXPECT_TRUE(consistent);
  EXPECT_EQ(last.done, 5);
}

TEST(Scheduler, RunIdThatIsNoFolderNameIsRefused) {
  Lab lab;
  for (const char* id : {"", "../x", "a/b", ".hidden", "a b"}) EXPECT_THROW(lab.run({small_job(id)}), Error) << id;
  EXPECT_EQ(lab.ledger->size(), 0);
}

// Random jobs and misfortunes: slots are never overfull, every run ends as scripted, and no slot idles while one waits.
TEST(Scheduler, RandomCampaignsKeepTheSlotsBusyAndEndEveryRun) {
  for (uint64_t seed = 1; seed <= 15; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const int slots = 1 + static_cast<int>(rng.below(4));
    Lab lab({.slots = slots, .poll_seconds = 0.01});
    std::vector<Job> list;
    double total = 0, longest = 0;
    for (uint64_t i = 0, n = 4 + rng.below(10); i < n; ++i) {
      const double seconds = static_cast<double>(1 + rng.below(20));
      list.push_back(small_job(fmt::format("r{}", i), seconds, static_cast<int>(rng.below(2))));
      const bool crashes = rng.below(4) == 0;
      lab.runner.scripts[list.back().spec.id] = {{.seconds = seconds, .end = crashes ? End::kCrash : End::kDone},
                                                 {.seconds = seconds}};
      total += seconds;
      longest = std::max(longest, seconds);
    }
    const double begin = lab.clock.now_seconds();
    ASSERT_EQ(lab.run(list), Verdict::kFinished);
    EXPECT_EQ(lab.ledger->spend().runs_done, std::ssize(list));
    EXPECT_LE(lab.runner.most_running, slots);
    // Graham 1969: a list schedule that never idles ends within total/m + longest; a poll per run on top.
    EXPECT_LE(lab.clock.now_seconds() - begin, total / slots + longest + 0.05 * static_cast<double>(list.size()));
  }
}

}  // namespace
}  // namespace flywheel::scheduler
