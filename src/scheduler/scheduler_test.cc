// The loop on a virtual clock with fake processes: order, budget, retries, stalls, fillers.
#include "scheduler/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"
#include "ledger/json_record.h"
#include "testing/fake_clock.h"
#include "testing/fake_runner.h"
#include "testing/jobs.h"
#include "testing/temporary_folder.h"

namespace flywheel::scheduler {
namespace {

using flywheel::testing::FakeClock;
using flywheel::testing::FakeRunner;
using flywheel::testing::FakeSpec;
using flywheel::testing::flops_of;
using flywheel::testing::Script;
using flywheel::testing::small_job;
using flywheel::testing::with_spec;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using End = Script::End;

struct Lab {
  explicit Lab(const Resources& capacity = {.cores = 2})
      : runner(clock, capacity), ledger(ledger::Ledger::open(folder.path())) {
    open();
  }
  void open() {
    scheduler = std::make_unique<Scheduler>(*ledger, runner, clock, folder.path() / "runs");
    scheduler->recover(flywheel::testing::rebuild_job);
  }
  Status run(const std::vector<Job>& jobs, Deadline deadline = {}) { return scheduler->run(jobs, deadline); }
  std::string state(const std::string& id) {
    return std::string(ledger->run(id) ? protocol::name(ledger->run(id)->state) : "none");
  }

  flywheel::testing::TemporaryFolder folder;
  FakeClock clock;
  FakeRunner runner;
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
  EXPECT_EQ(lab.run(jobs(5)), Status::kFinished);
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
  EXPECT_EQ(lab.run(jobs(3)), Status::kFinished);
  EXPECT_EQ(lab.ledger->size(), size);
  EXPECT_EQ(lab.runner.starts["r0"], 1);
}

TEST(Scheduler, CrashedRunIsTriedOnceMoreAndItsReasonKept) {
  Lab lab;
  lab.runner.scripts["r0"] = {{.seconds = 2, .end = End::kCrash}, {.seconds = 2}};
  lab.runner.scripts["r1"] = {{.seconds = 2, .end = End::kCrash}};
  EXPECT_EQ(lab.run(jobs(2)), Status::kFinished);
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
  for (const char* reason : {"diverged at step 10: loss is nan", "input: no such corpus"}) {
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
  EXPECT_EQ(lab.run(jobs(1)), Status::kFinished);
  EXPECT_EQ(lab.state("r0"), "done");
  EXPECT_THAT(lab.ledger->records("attempt")[0].payload.at("reason"), HasSubstr("stalled: no event for 120 s"));
}

TEST(Scheduler, DeadlineStopsChildrenWithACheckpointAndTheyGoOnLater) {
  Lab lab;
  lab.runner.fake_seconds_of = [](const FakeSpec&) { return 100.0; };
  const double begin = lab.clock.now_seconds();
  EXPECT_EQ(lab.run(jobs(2), {.at_clock_seconds = begin + 60}), Status::kOutOfBudget);
  EXPECT_NEAR(lab.clock.now_seconds(), begin + 60, 0.3);
  EXPECT_EQ(lab.state("r0"), "stopped");
  EXPECT_EQ(lab.runner.running(), 0);
  EXPECT_EQ(lab.run(jobs(2)), Status::kFinished);
  EXPECT_EQ(lab.ledger->run("r0")->attempts, 2);
  EXPECT_EQ(lab.ledger->run("r0")->failed_attempts, 0);
  EXPECT_DOUBLE_EQ(lab.ledger->spend().train_flops, 2 * flops_of(small_job("x")));
}

TEST(Scheduler, ARunThatGivesUpIsOverUntilSomebodyAsksForTheRest) {
  Lab lab;
  std::vector<Job> wanted = jobs(2);
  // The fake's curve is at 2.5 half way.
  wanted[0] = with_spec(wanted[0], [](Json& spec) { spec["stop"] = {0.5, 2.4}; });
  EXPECT_EQ(lab.run(wanted), Status::kFinished);
  EXPECT_EQ(lab.state("r0"), "stopped");
  EXPECT_TRUE(lab.ledger->run("r0")->gave_up());
  EXPECT_FALSE(lab.ledger->run("r0")->ended());
  EXPECT_EQ(lab.ledger->run_curve("r0").size(), 2u);
  EXPECT_DOUBLE_EQ(lab.ledger->run("r0")->spent_flops, 0.5 * flops_of(small_job("x")));
  EXPECT_EQ(lab.state("r1"), "done");
  // A lab that comes back lets it be.
  lab.open();
  EXPECT_EQ(lab.run({jobs(3)[2]}), Status::kFinished);
  EXPECT_EQ(lab.runner.starts["r0"], 1);
  wanted[0] = with_spec(wanted[0], [](Json& spec) { spec.erase("stop"); });
  EXPECT_EQ(lab.run(wanted), Status::kFinished);
  EXPECT_EQ(lab.state("r0"), "done");
  EXPECT_EQ(lab.ledger->run("r0")->attempts, 2);
  EXPECT_EQ(lab.ledger->run("r0")->failed_attempts, 0);
  EXPECT_DOUBLE_EQ(lab.ledger->run("r0")->spent_flops, flops_of(small_job("x")));
  EXPECT_THAT(lab.ledger->verify().problems, IsEmpty());
}

TEST(Scheduler, ChildThatIgnoresTheDeadlineIsKilledAfterTheGrace) {
  Lab lab;
  lab.runner.scripts["r0"] = {{.seconds = 1000, .end = End::kIgnoreStop}};
  const double begin = lab.clock.now_seconds();
  EXPECT_EQ(lab.run(jobs(1), {.at_clock_seconds = begin + 10}), Status::kOutOfBudget);
  EXPECT_NEAR(lab.clock.now_seconds(), begin + 15, 0.3);
  EXPECT_EQ(lab.state("r0"), "stopped");
}

TEST(Scheduler, InterruptStopsEverything) {
  Lab lab;
  lab.runner.fake_seconds_of = [](const FakeSpec&) { return 100.0; };
  const double begin = lab.clock.now_seconds();
  const auto stop = [&] { return lab.clock.now_seconds() > begin + 5; };
  EXPECT_EQ(lab.scheduler->run(jobs(3), {}, stop), Status::kInterrupted);
  EXPECT_EQ(lab.runner.running(), 0);
  EXPECT_EQ(lab.state("r2"), "planned");
}

TEST(Scheduler, FlopsAreReservedBeforeARunStarts) {
  Lab lab;
  const double each = flops_of(small_job("x"));
  EXPECT_EQ(lab.run(jobs(5), {.flops = 3 * each}), Status::kOutOfBudget);
  EXPECT_EQ(lab.ledger->spend().runs_done, 3);
  EXPECT_DOUBLE_EQ(lab.ledger->spend().train_flops, 3 * each);
  EXPECT_EQ(lab.run(jobs(5), {.flops = 5 * each}), Status::kFinished);
}

// A job of `steps` that goes on from `trunk` where that one begins its decay, with larger batches from there.
Job branched_job(const std::string& id, int64_t steps, const Job& trunk) {
  return with_spec(small_job(id), [&](Json& spec) {
    spec["steps"] = steps;
    spec["first_step"] = 16;
    spec["history_tokens"] = trunk.work.flops_before(16) / 1e3;
    spec["tokens_per_step"] = 6e4;
    spec["branch"] = trunk.id;
  });
}

TEST(Scheduler, ABranchedRunReservesAndPaysOnlyForItsOwnPart) {
  Lab lab;
  const Job trunk = with_spec(small_job("trunk"), [](Json& spec) { spec["keep_stable"] = true; });
  lab.run({trunk});
  const Job branch = branched_job("branch", 40, trunk);
  const double own = branch.new_flops;
  ASSERT_LT(own, 0.9 * flops_of(branch));
  lab.runner.scripts["branch"] = {{.seconds = 100}};
  // Stopped on its way and continued: still paid once.
  EXPECT_EQ(lab.run({branch}, {.at_clock_seconds = lab.clock.now_seconds() + 70}), Status::kOutOfBudget);
  EXPECT_EQ(lab.run({branch}, {.flops = flops_of(trunk) + own}), Status::kFinished);
  const auto row = *lab.ledger->run("branch");
  EXPECT_EQ(row.state, "done");
  EXPECT_EQ(row.attempts, 2);
  EXPECT_DOUBLE_EQ(row.flops, flops_of(branch));
  EXPECT_DOUBLE_EQ(row.flops_done, flops_of(branch));
  EXPECT_EQ(row.tokens_done, branch.tokens);
  EXPECT_DOUBLE_EQ(lab.ledger->spend().train_flops, flops_of(trunk) + own);
  EXPECT_EQ(lab.ledger->record(row.record)->payload.at("branch"), "trunk");
}

TEST(Scheduler, ABudgetOfFlopsPaysForOptimizersAndEvaluationsToo) {
  for (const bool optimizer : {true, false}) {
    Lab lab;
    auto list = jobs(3);
    const double model = flops_of(list[0]);
    for (Job& job : list)
      if (optimizer)
        job.work.optimizer_flops_per_step = 0.25 * model / static_cast<double>(job.work.steps);
      else
        job.work.evaluation_flops = 0.25 * model / 4, job.work.evaluation_every = job.work.steps / 4;
    // Enough for the models of three, and for two with what comes beside.
    EXPECT_EQ(lab.run(list, {.flops = 3 * model}), Status::kOutOfBudget);
    EXPECT_DOUBLE_EQ(lab.ledger->spend().train_flops, 2 * model);
    EXPECT_DOUBLE_EQ(lab.ledger->spend().optimizer_flops, optimizer ? 0.5 * model : 0);
    EXPECT_DOUBLE_EQ(lab.ledger->spend().evaluation_flops, optimizer ? 0 : 0.5 * model);
    EXPECT_EQ(lab.run(list, {.flops = 3.75 * model}), Status::kFinished);
    EXPECT_DOUBLE_EQ(lab.ledger->spend().flops(), 3.75 * model);
    EXPECT_DOUBLE_EQ(lab.ledger->run("r0")->all_spent_flops(), 1.25 * model);
  }
}

TEST(Scheduler, ABranchWhoseTrunkIsGoneFailsForGoodAndCostsNothing) {
  Lab lab;
  const Job branch = branched_job("branch", 40, small_job("trunk"));
  EXPECT_EQ(lab.run({branch}), Status::kFinished);
  EXPECT_EQ(lab.state("branch"), "failed");
  EXPECT_THAT(lab.ledger->run("branch")->reason, HasSubstr("input: branch"));
  EXPECT_EQ(lab.runner.starts["branch"], 1);
  EXPECT_EQ(lab.ledger->spend().train_flops, 0);
}

TEST(Scheduler, RunThatWouldEndAfterTheDeadlineIsNotStarted) {
  Lab lab;
  auto list = jobs(2);
  list[0].expected_seconds = 1000;
  EXPECT_EQ(lab.run(list, {.at_clock_seconds = lab.clock.now_seconds() + 50}), Status::kOutOfBudget);
  EXPECT_EQ(lab.state("r0"), "planned");
  EXPECT_EQ(lab.state("r1"), "done");
}

TEST(Scheduler, MemoryIsNeverPromisedTwiceAndWhatCannotFitIsRefused) {
  Lab lab({.cores = 4, .memory_bytes = 100});
  auto list = jobs(5);
  for (Job& job : list) job.needs.memory_bytes = 45;
  list[4].needs.memory_bytes = 101;
  EXPECT_EQ(lab.run(list), Status::kFinished);
  EXPECT_EQ(lab.runner.most_running, 2);
  EXPECT_EQ(lab.state("r4"), "failed");
  EXPECT_THAT(lab.ledger->run("r4")->reason, HasSubstr("memory: needs 101 bytes, 100 are allowed"));
  EXPECT_EQ(lab.runner.starts["r4"], 0);
}

TEST(Scheduler, TheRunnerIsToldWhatARunNeedsAndHowItIsStarted) {
  Lab lab({.cores = 2, .gpus = 1});
  auto list = jobs(3);
  list[0].needs = {.cores = 8, .memory_bytes = 5};  // all cores, as there are fewer
  list[0].priority = 1;
  list[1].command = {"python3", "train.py"};
  list[2].needs.gpus = 1;
  lab.run(list);
  EXPECT_EQ(lab.runner.launches["r0"].needs, (Resources{.cores = 2, .memory_bytes = 5}));
  EXPECT_EQ(lab.runner.launches["r0"].directory, lab.folder.path() / "runs" / "r0");
  EXPECT_EQ(lab.runner.launches["r1"].command, list[1].command);
  EXPECT_EQ(lab.runner.launches["r2"].needs.gpus, 1);
  EXPECT_THAT(lab.runner.order, ElementsAre("r0", "r1", "r2"));
  const std::vector<ledger::Record> starts = lab.ledger->records("start");
  EXPECT_EQ(starts[0].payload.at("slots"), Json({0, 1}));
  EXPECT_EQ(starts[1].payload.at("slots"), Json({0}));
  EXPECT_EQ(starts[2].payload.at("slots"), Json({1}));
}

TEST(Scheduler, GpusAreSharedAndWhatCannotFitIsRefused) {
  Lab lab({.cores = 4, .gpus = 2});
  auto list = jobs(4);
  for (Job& job : list) job.needs.gpus = 1;
  list[3].needs.gpus = 3;
  EXPECT_EQ(lab.run(list), Status::kFinished);
  EXPECT_EQ(lab.runner.most_running, 2);
  EXPECT_EQ(lab.state("r2"), "done");
  EXPECT_EQ(lab.state("r3"), "failed");
  EXPECT_THAT(lab.ledger->run("r3")->reason, HasSubstr("input: needs 3 GPUs, 2 are there"));
}

TEST(Scheduler, WhatNoLongerFitsAShrunkenCapacityFailsInsteadOfWaiting) {
  Lab lab({.cores = 1, .memory_bytes = 1000, .gpus = 1});
  lab.runner.fake_seconds_of = [](const FakeSpec&) { return 10.0; };
  lab.runner.set_capacity({.cores = 1, .memory_bytes = 500, .gpus = 0}, lab.clock.now_seconds() + 5);
  auto list = jobs(4, 10);
  list[0].needs.memory_bytes = 900;  // it runs already
  list[1].needs.memory_bytes = 900;
  list[2].needs.gpus = 1;
  list[3].needs.memory_bytes = 500;
  EXPECT_EQ(lab.run(list), Status::kFinished);
  EXPECT_EQ(lab.state("r0"), "done");
  EXPECT_THAT(lab.ledger->run("r1")->reason, HasSubstr("memory: needs 900 bytes, 500 are allowed"));
  EXPECT_THAT(lab.ledger->run("r2")->reason, HasSubstr("input: needs 1 GPUs, 0 are there"));
  EXPECT_EQ(lab.state("r3"), "done");
}

TEST(Scheduler, CapacityMayGrowAndShrinkWhileRunsGoOn) {
  Lab lab({.cores = 1});
  lab.runner.fake_seconds_of = [](const FakeSpec&) { return 10.0; };
  const double begin = lab.clock.now_seconds();
  lab.runner.set_capacity({.cores = 3}, begin + 5);
  lab.runner.set_capacity({.cores = 1}, begin + 12);
  auto list = jobs(6, 10);
  list[5].needs.cores = 2;  // all there are, whatever there are
  list[5].priority = -1;
  lab.scheduler->begin(list, {});
  while (lab.clock.now_seconds() < begin + 8) lab.scheduler->step(0.5);
  EXPECT_EQ(lab.scheduler->progress().running, 3);
  while (lab.clock.now_seconds() < begin + 13) lab.scheduler->step(0.5);
  // r0 ended at 10 and r3 took its place; nothing starts in the place of r1 and r2 at 15.
  EXPECT_EQ(lab.scheduler->progress().running, 3);
  while (lab.clock.now_seconds() < begin + 16) lab.scheduler->step(0.5);
  EXPECT_EQ(lab.scheduler->progress().running, 1);
  while (lab.scheduler->step(1) == Status::kWorking) {
  }
  EXPECT_THAT(lab.runner.order, ElementsAre("r0", "r1", "r2", "r3", "r4", "r5"));
  EXPECT_EQ(lab.runner.launches["r5"].needs.cores, 1);
  EXPECT_NEAR(lab.clock.now_seconds(), begin + 40, 0.01);
  EXPECT_NEAR(lab.scheduler->busy_slot_seconds(), 60, 0.1);
}

TEST(Scheduler, StepsReturnInTimeAndStayAtTheirEnd) {
  Lab lab;
  EXPECT_EQ(lab.scheduler->step(1), Status::kFinished);  // nothing is wanted yet
  lab.runner.fake_seconds_of = [](const FakeSpec&) { return 10.0; };
  const double begin = lab.clock.now_seconds();
  lab.scheduler->begin(jobs(3), {});
  EXPECT_EQ(lab.runner.running(), 0);
  EXPECT_EQ(lab.scheduler->step(0), Status::kWorking);
  EXPECT_EQ(lab.clock.now_seconds(), begin);
  EXPECT_EQ(lab.runner.running(), 2);
  EXPECT_EQ(lab.scheduler->step(0.1), Status::kWorking);
  EXPECT_NEAR(lab.clock.now_seconds(), begin + 0.1, 1e-9);
  while (lab.scheduler->step(1000) == Status::kWorking) {
  }
  EXPECT_NEAR(lab.clock.now_seconds(), begin + 20, 1e-3);  // an end is seen at once
  EXPECT_EQ(lab.scheduler->step(1000), Status::kFinished);
  EXPECT_NEAR(lab.clock.now_seconds(), begin + 20, 1e-3);
}

TEST(Scheduler, InterruptTakesStepsTooAndStopsFillersAfterTheEnd) {
  Lab lab;
  lab.runner.fake_seconds_of = [](const FakeSpec& spec) { return spec.id[0] == 'f' ? 100.0 : 10.0; };
  bool given = false;
  lab.scheduler->begin(jobs(1), {}, [&](double) -> std::optional<Job> {
    if (given) return std::nullopt;
    given = true;
    return small_job("f0", 100);
  });
  while (lab.scheduler->step(1) == Status::kWorking) {
  }
  EXPECT_EQ(lab.state("f0"), "running");
  lab.scheduler->interrupt();
  EXPECT_EQ(lab.scheduler->step(0), Status::kWorking);
  EXPECT_EQ(lab.state("f0"), "running");
  while (lab.scheduler->step(1) == Status::kWorking) {
  }
  EXPECT_EQ(lab.scheduler->step(1), Status::kFinished);
  EXPECT_EQ(lab.state("f0"), "stopped");

  lab.scheduler->begin({small_job("r1")}, {});
  lab.scheduler->step(1);
  lab.scheduler->interrupt();
  while (lab.scheduler->step(1) == Status::kWorking) {
  }
  EXPECT_EQ(lab.scheduler->step(1), Status::kInterrupted);
  EXPECT_EQ(lab.state("r1"), "stopped");
}

TEST(Scheduler, FillersUseIdleSlotsAndGoOnIntoTheNextCall) {
  Lab lab;
  lab.runner.fake_seconds_of = [](const FakeSpec& spec) { return spec.id[0] == 'f' ? 7.0 : 10.0; };
  int asked = 0;
  double until_free = 0, begin = lab.clock.now_seconds();
  const auto filler = [&](double seconds) -> std::optional<Job> {
    until_free = seconds;
    return small_job(fmt::format("f{}", asked++), 7);
  };
  EXPECT_EQ(lab.scheduler->run(jobs(1, 10), {}, {}, filler), Status::kFinished);
  EXPECT_EQ(asked, 2);
  EXPECT_GT(until_free, 1);
  EXPECT_LT(until_free, 4);
  EXPECT_EQ(lab.state("f0"), "done");
  EXPECT_EQ(lab.state("f1"), "running");
  EXPECT_EQ(lab.run({small_job("f1", 7)}), Status::kFinished);
  EXPECT_EQ(lab.runner.starts["f1"], 1);
  EXPECT_EQ(lab.state("f1"), "done");
  EXPECT_GT(lab.scheduler->busy_slot_seconds() / (2 * (lab.clock.now_seconds() - begin)), 0.8);
}

TEST(Scheduler, FillerThatIsKnownOrEmptyDoesNotSpin) {
  Lab lab;
  lab.runner.fake_seconds_of = [](const FakeSpec&) { return 20.0; };
  int asked = 0;
  const auto filler = [&](double) -> std::optional<Job> {
    if (++asked % 2 == 0) return std::nullopt;
    return small_job("r0");
  };
  EXPECT_EQ(lab.scheduler->run(jobs(1, 10), {}, {}, filler), Status::kFinished);
  EXPECT_LE(asked, 22);  // once a second
}

TEST(Scheduler, ProgressCountsEveryWantedJob) {
  Lab lab;
  Progress last;
  bool consistent = true;
  lab.scheduler->on_progress([&](const Progress& p) {
    consistent = consistent && p.running + p.waiting + p.done + p.failed == 5 && p.running <= 2;
    last = p;
  });
  lab.run(jobs(5, 1));
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
    Lab lab({.cores = slots});
    std::vector<Job> list;
    double total = 0, longest = 0;
    for (uint64_t i = 0, n = 4 + rng.below(10); i < n; ++i) {
      const double seconds = static_cast<double>(1 + rng.below(20));
      list.push_back(small_job(fmt::format("r{}", i), seconds, static_cast<int>(rng.below(2))));
      const bool crashes = rng.below(4) == 0;
      lab.runner.scripts[list.back().id] = {{.seconds = seconds, .end = crashes ? End::kCrash : End::kDone},
                                            {.seconds = seconds}};
      total += seconds;
      longest = std::max(longest, seconds);
    }
    const double begin = lab.clock.now_seconds();
    ASSERT_EQ(lab.run(list), Status::kFinished);
    EXPECT_EQ(lab.ledger->spend().runs_done, std::ssize(list));
    EXPECT_LE(lab.runner.most_running, slots);
    // Graham 1969: a list schedule that never idles ends within total/m + longest; a poll per run on top.
    EXPECT_LE(lab.clock.now_seconds() - begin, total / slots + longest + 0.05 * static_cast<double>(list.size()));
  }
}

// One run on each core, thousands of them: what a schedule costs the scheduler itself.
Effort effort_of_schedule(int runs) {
  Lab lab({.cores = 64});
  std::vector<Job> list;
  Rng rng(1);
  for (int i = 0; i < runs; ++i) {
    const double seconds = static_cast<double>(1 + rng.below(1000));
    const Job job = small_job(fmt::format("r{}", i), seconds, static_cast<int>(rng.below(3)));
    list.push_back(with_spec(job, [](Json& spec) { spec["steps"] = 1; }));  // few events to write
    list.back().needs = {.cores = 1 + static_cast<int>(rng.below(4)), .memory_bytes = rng.below(1000)};
    lab.runner.scripts[list.back().id] = {{.seconds = seconds}};
  }
  Scheduler scheduler(*lab.ledger, lab.runner, lab.clock, lab.folder.path() / "runs",
                      {.stall_seconds = 1e9, .event_seconds = 60});
  const double begin = lab.clock.now_seconds();
  EXPECT_EQ(scheduler.run(std::move(list)), Status::kFinished);
  EXPECT_EQ(lab.ledger->spend().runs_done, runs);
  EXPECT_GT(scheduler.busy_slot_seconds() / (64 * (lab.clock.now_seconds() - begin)), 0.9);
  return scheduler.effort();
}

TEST(Scheduler, TenThousandRunsCostLittlePerDecision) {
  const Effort small = effort_of_schedule(1000), large = effort_of_schedule(10000);
  EXPECT_EQ(small.starts, 1000);
  EXPECT_EQ(large.starts, 10000);
  EXPECT_EQ(large.ledger_scans, small.ledger_scans);
  EXPECT_LE(large.ledger_scans, 2);
  const auto per_start = [](const Effort& effort) {
    return static_cast<double>(effort.requests_examined) / static_cast<double>(effort.starts);
  };
  EXPECT_LT(per_start(large), 2 * per_start(small));
  EXPECT_LT(per_start(large), 200);
}

}  // namespace
}  // namespace flywheel::scheduler
