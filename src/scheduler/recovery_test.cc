// The lab, the runs, or both are killed at any step; the next lab finishes every run once and pays once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"
#include "ledger/json_record.h"
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
using ::testing::IsEmpty;

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

}  // namespace
}  // namespace flywheel::scheduler
