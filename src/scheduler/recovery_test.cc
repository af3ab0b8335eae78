// The lab, the runs, or both are killed at any step; the next lab finishes every run once and pays once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "base/error.h"
#include "base/rng.h"
#include "ledger/json_record.h"
#include "scheduler/attempt.h"
#include "scheduler/scheduler.h"
#include "testing/crash_points.h"
#include "testing/fake_clock.h"
#include "testing/fake_runner.h"
#include "testing/jobs.h"
#include "testing/temporary_folder.h"

namespace flywheel::scheduler {
namespace {

using flywheel::testing::Crash;
using flywheel::testing::CrashPoints;
using flywheel::testing::FakeClock;
using flywheel::testing::FakeRunner;
using flywheel::testing::flops_of;
using flywheel::testing::Script;
using flywheel::testing::small_job;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using End = Script::End;

// Machine and disk, which outlive labs.
struct World {
  flywheel::testing::TemporaryFolder folder;
  FakeClock clock;
  FakeRunner runner{clock};
  CrashPoints crash_points;

  World() {
    runner.fake_seconds_of = [](const flywheel::testing::FakeSpec& spec) {
      return 1.0 + static_cast<double>(spec.id[1] - '0');
    };
    runner.scripts["r1"] = {{.seconds = 3, .end = Script::End::kCrash}, {.seconds = 3}};
    runner.before_start = runner.after_start = [this] { crash_points.pass(); };
  }

  // For live().
  std::function<bool()> dies_after(double seconds) {
    return [this, at = clock.now_seconds() + seconds]() -> bool {
      if (clock.now_seconds() >= at) throw std::runtime_error("the lab is gone");
      return false;
    };
  }

  // One life of a lab; true when the campaign finished.
  bool live(const std::function<bool()>& should_stop = {}) {
    try {
      auto ledger = ledger::Ledger::open(folder.path());
      ledger->on_commit([this](bool) { crash_points.pass(); });
      Scheduler scheduler(*ledger, runner, clock, folder.path() / "runs");
      scheduler.recover(flywheel::testing::rebuild_job);
      scheduler.run({small_job("r0", 1), small_job("r1", 2), small_job("r2", 3)}, {}, should_stop);
      return scheduler.run({small_job("r3", 4), small_job("r4", 1)}, {}, should_stop) == Status::kFinished;
    } catch (const Crash&) {
      runner.forget();
      return false;
    }
  }

  void expect_everything_once() {
    auto ledger = ledger::Ledger::open_read_only(folder.path());
    EXPECT_THAT(ledger->verify().problems, IsEmpty());
    ASSERT_EQ(ledger->runs().size(), 5u);
    for (const ledger::RunRow& row : ledger->runs()) {
      EXPECT_EQ(row.state, "done") << row.run;
      EXPECT_EQ(row.flops_done, flops_of(small_job("x"))) << row.run;
    }
    EXPECT_EQ(ledger->records("finish").size(), 5u);
    EXPECT_EQ(ledger->records("run").size(), 5u);
  }
};

TEST(Recovery, LabKilledAtEveryStepFinishesEveryRunOnce) {
  int passes = 0;
  for (int k = 1; k < 200; ++k) {
    SCOPED_TRACE(k);
    World world;
    world.crash_points.arm(k);
    if (world.live()) {
      passes = k;
      break;
    }
    // Processes go on while no lab is there, for longer or shorter.
    world.clock.sleep_seconds(k % 3);
    world.crash_points.arm(0);
    ASSERT_TRUE(world.live());
    world.expect_everything_once();
    auto ledger = ledger::Ledger::open_read_only(world.folder.path());
    // Every process was found again: nothing was trained twice.
    EXPECT_NEAR(ledger->spend().train_flops / flops_of(small_job("x")), 5, 1e-9);
  }
  EXPECT_GT(passes, 40);
}

TEST(Recovery, LabKilledAgainAndAgainStillFinishes) {
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE(seed);
    World world;
    Rng rng(seed);
    bool finished = false;
    for (int life = 0; life < 60 && !finished; ++life) {
      world.crash_points.arm(1 + static_cast<int>(rng.below(14)));
      finished = world.live();
      if (rng.below(2) == 0) world.runner.kill_all();
      world.clock.sleep_seconds(rng.uniform());
    }
    world.crash_points.arm(0);
    ASSERT_TRUE(world.live());
    world.expect_everything_once();
  }
}

TEST(Recovery, DeadRunsAreQueuedAgainAndThatIsNoFailure) {
  World world;
  EXPECT_THROW(world.live(world.dies_after(0.75)), std::runtime_error);
  world.runner.kill_all();
  ASSERT_TRUE(world.live());
  world.expect_everything_once();
  auto ledger = ledger::Ledger::open_read_only(world.folder.path());
  int lost = 0;
  for (const auto& record : ledger->records("attempt")) lost += record.payload.at("state") == "lost" ? 1 : 0;
  EXPECT_EQ(lost, 2);
  for (const auto& row : ledger->runs()) EXPECT_EQ(row.failed_attempts, 0) << row.run;
}

TEST(Recovery, RunThatEndedWhileNobodyWatchedIsIngestedNotRepeated) {
  World world;
  EXPECT_THROW(world.live(world.dies_after(0.25)), std::runtime_error);
  world.runner.forget();
  world.clock.sleep_seconds(100);
  ASSERT_TRUE(world.live());
  world.expect_everything_once();
  EXPECT_EQ(world.runner.starts["r2"], 1);
}

TEST(Recovery, LivingChildIsAdopted) {
  World world;
  EXPECT_THROW(world.live(world.dies_after(0.25)), std::runtime_error);
  world.runner.forget();
  ASSERT_TRUE(world.live());
  world.expect_everything_once();
  EXPECT_EQ(world.runner.starts["r2"], 1);
  EXPECT_EQ(world.runner.most_running, 2);
}

TEST(Recovery, UnfinishedFillerOfADeadLabFillsAgain) {
  World world;
  {
    auto ledger = ledger::Ledger::open(world.folder.path());
    Scheduler scheduler(*ledger, world.runner, world.clock, world.folder.path() / "runs");
    bool given = false;
    scheduler.run({small_job("r0", 1)}, {}, {}, [&](double) -> std::optional<Job> {
      if (given) return std::nullopt;
      given = true;
      return small_job("f9", 10);
    });
  }
  world.runner.kill_all();
  auto ledger = ledger::Ledger::open(world.folder.path());
  Scheduler scheduler(*ledger, world.runner, world.clock, world.folder.path() / "runs");
  scheduler.recover(flywheel::testing::rebuild_job);
  EXPECT_EQ(ledger->run("f9")->state, "planned");
  scheduler.run({small_job("r2", 3)}, {}, {}, [](double) { return std::nullopt; });
  EXPECT_EQ(ledger->run("f9")->state, "running");
  scheduler.run({small_job("f9", 10)});
  EXPECT_EQ(ledger->run("f9")->state, "done");
}

// ---- What the machine does to runs is no failure of theirs: kills, full disks, starts that fail, folders that are
// away.

class Machine : public ::testing::Test {
 protected:
  Machine() : runner_(clock_), ledger_(ledger::Ledger::open(folder_.path())) {
    scheduler_ = std::make_unique<Scheduler>(*ledger_, runner_, clock_, folder_.path() / "runs");
  }
  Status run(int n, Deadline deadline = {}) {
    std::vector<Job> jobs;
    for (int i = 0; i < n; ++i) jobs.push_back(small_job(fmt::format("r{}", i), 1));
    return scheduler_->run(jobs, deadline);
  }
  ledger::RunRow row(const std::string& run) { return *ledger_->run(run); }

  flywheel::testing::TemporaryFolder folder_;
  FakeClock clock_;
  FakeRunner runner_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(Machine, ARunThatCannotBeStartedWaitsAndTheBudgetWithIt) {
  const double works_at = clock_.now_seconds() + 100;
  runner_.before_start = [&] {
    if (clock_.now_seconds() < works_at) throw_failed("cannot start a process: Resource temporarily unavailable");
  };
  const double deadline = clock_.now_seconds() + 20;
  EXPECT_EQ(run(3, {.at_clock_seconds = deadline}), Status::kFinished);
  EXPECT_EQ(ledger_->spend().runs_done, 3);
  EXPECT_EQ(ledger_->spend().runs_failed, 0);
  EXPECT_EQ(row("r0").failed_attempts, 0);
  EXPECT_DOUBLE_EQ(ledger_->spend().train_flops, 3 * flops_of(small_job("x")));
  EXPECT_NEAR(scheduler_->take_held_seconds(), 100, 61);
  EXPECT_LT(runner_.starts["r0"], 3);
  EXPECT_THAT(ledger_->verify().problems, IsEmpty());
}

TEST_F(Machine, OneThatNeverStartsStopsTheGoalAndNothingHasFailed) {
  runner_.before_start = [] { throw_failed("cannot start a process: Too many open files"); };
  EXPECT_EQ(run(2, {.at_clock_seconds = clock_.now_seconds() + 60}), Status::kHeld);
  EXPECT_THAT(scheduler_->held_by(), HasSubstr("Too many open files"));
  EXPECT_EQ(ledger_->spend().runs_failed, 0);
  runner_.before_start = [] {};
  EXPECT_EQ(run(2, {.at_clock_seconds = clock_.now_seconds() + 60}), Status::kFinished);
  EXPECT_EQ(ledger_->spend().runs_done, 2);
}

TEST_F(Machine, AKillTwiceInARowIsNoFailure) {
  runner_.scripts["r0"] = {{.seconds = 1, .end = End::kCrash, .signal = SIGKILL, .at_fraction = 0.1},
                           {.seconds = 1, .end = End::kCrash, .signal = SIGTERM, .at_fraction = 0.1},
                           {.seconds = 1, .end = End::kCrash, .signal = SIGKILL, .at_fraction = 0.1},
                           {.seconds = 1}};
  EXPECT_EQ(run(1), Status::kFinished);
  EXPECT_EQ(ledger_->spend().runs_done, 1);
  EXPECT_EQ(row("r0").failed_attempts, 0);
  EXPECT_EQ(row("r0").attempts, 4);
}

TEST_F(Machine, KilledAgainAndAgainWhileOthersGoOnItFails) {
  runner_.scripts["r0"] = {{.seconds = 1, .end = End::kCrash, .signal = SIGKILL, .at_fraction = 0.1}};
  EXPECT_EQ(run(2), Status::kFinished);
  EXPECT_EQ(protocol::name(row("r1").state), "done");
  EXPECT_EQ(protocol::name(row("r0").state), "failed");
  EXPECT_THAT(row("r0").reason, HasSubstr("while other runs went on"));
  EXPECT_EQ(row("r0").attempts, Limits{}.most_ended_by_machine);
}

TEST_F(Machine, KilledAgainAndAgainWhereNothingElseRunsTheGoalStops) {
  for (const char* run : {"r0", "r1"})
    runner_.scripts[run] = {{.seconds = 1, .end = End::kCrash, .signal = SIGKILL, .at_fraction = 0.1}};
  EXPECT_EQ(run(2), Status::kHeld);
  EXPECT_EQ(ledger_->spend().runs_failed, 0);
  runner_.scripts.clear();
  EXPECT_EQ(run(2), Status::kFinished);
  EXPECT_EQ(ledger_->spend().runs_done, 2);
}

TEST_F(Machine, AFullDiskAndTooLittleMemoryAreWaitedFor) {
  for (const char* reason : {"disk: cannot write checkpoint.bin: No space left on device", "memory: 3 GB"}) {
    const std::string id = fmt::format("r-{}", reason[0]);
    runner_.scripts[id] = {{.seconds = 1, .end = End::kFail, .reason = reason},
                           {.seconds = 1, .end = End::kFail, .reason = reason},
                           {.seconds = 1, .end = End::kFail, .reason = reason},
                           {.seconds = 1}};
    EXPECT_EQ(scheduler_->run({small_job(id, 1)}, {.at_clock_seconds = clock_.now_seconds() + 3}), Status::kFinished);
    EXPECT_EQ(protocol::name(row(id).state), "done") << reason;
    EXPECT_EQ(row(id).failed_attempts, 0);
  }
}

TEST_F(Machine, ARunThatAnotherProcessHoldsIsWaitedFor) {
  runner_.scripts["r0"] = {{.seconds = 1, .end = End::kExit, .exit_code = 76},
                           {.seconds = 1, .end = End::kExit, .exit_code = 76},
                           {.seconds = 1}};
  EXPECT_EQ(run(1), Status::kFinished);
  EXPECT_EQ(protocol::name(row("r0").state), "done");
  EXPECT_EQ(row("r0").failed_attempts, 0);
}

TEST_F(Machine, ALabThatIsAwayForAMomentIsNotBlamedOnTheRun) {
  const Path runs = folder_.path() / "runs", away = folder_.path() / "away";
  const double back_at = clock_.now_seconds() + 5;
  runner_.after_start = [&] {
    if (runner_.order.size() == 1) std::filesystem::rename(runs, away);
  };
  scheduler_->begin({small_job("r0", 1), small_job("r1", 1), small_job("r2", 1)}, {});
  Status status = Status::kWorking;
  while ((status = scheduler_->step(0.2)) == Status::kWorking)
    if (clock_.now_seconds() > back_at && std::filesystem::exists(away)) std::filesystem::rename(away, runs);
  EXPECT_EQ(status, Status::kFinished);
  EXPECT_EQ(ledger_->spend().runs_done, 3);
  EXPECT_EQ(ledger_->spend().runs_failed, 0);
}

TEST_F(Machine, ALabThatIsGoneStopsTheGoalSoonAndIsNotMadeAgain) {
  runner_.before_start = [&] { throw_failed("no such folder"); };
  scheduler_->begin({small_job("r0", 1)}, {});
  std::filesystem::remove_all(folder_.path() / "runs");
  const double began = clock_.now_seconds();
  while (scheduler_->step(0.5) == Status::kWorking) {
  }
  EXPECT_EQ(scheduler_->step(0), Status::kHeld);
  EXPECT_LT(clock_.now_seconds(), began + 60);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "runs"));
}

TEST_F(Machine, ADamagedSpecOfAnUnfinishedRunIsWrittenAgain) {
  const Path spec = folder_.path() / "runs" / "r0" / protocol::kSpecFile;
  scheduler_->begin({small_job("r0", 10)}, {});
  scheduler_->step(1);
  runner_.kill_all();
  std::ofstream(spec) << "{\"cut";
  scheduler_ = std::make_unique<Scheduler>(*ledger_, runner_, clock_, folder_.path() / "runs");
  scheduler_->recover([](const ledger::RunRow&, const std::string& text) {
    if (text.starts_with("{\"cut")) throw_bad_input("spec.json: not valid JSON");
    return Job{};
  });
  EXPECT_EQ(scheduler_->run({small_job("r0", 10)}), Status::kFinished);
  EXPECT_EQ(real_file_system().read(spec), small_job("r0", 10).spec);
}

// An attempt that a kill cuts short did what its time allowed, though no event says so.
TEST_F(Machine, WorkThatNoEventToldIsCharged) {
  protocol::RunWork work{.steps = 100, .flops_before = [](int64_t step) { return 1e6 * static_cast<double>(step); }};
  work.evaluation_flops = 3e6;
  work.evaluation_every = 50;
  std::filesystem::create_directory(folder_.path() / "run");
  Attempt attempt(work, folder_.path() / "run", -1);
  attempt.charge_unreported(20, 100);  // of 100 s for 100 steps
  EXPECT_DOUBLE_EQ(attempt.spent_flops(), 20e6);
  EXPECT_DOUBLE_EQ(attempt.spent_evaluation_flops(), 0);
  attempt.charge_unreported(51, 100);  // one second into the evaluation of step 50
  EXPECT_DOUBLE_EQ(attempt.spent_flops(), 50e6);
  EXPECT_DOUBLE_EQ(attempt.spent_evaluation_flops(), 1e6);
  attempt.charge_unreported(1e9, 100);  // hung: no more than up to its next word
  EXPECT_DOUBLE_EQ(attempt.spent_flops() + attempt.spent_evaluation_flops(), 53e6);
}

}  // namespace
}  // namespace flywheel::scheduler
