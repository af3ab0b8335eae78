// The local runner with real processes: shell scripts stand in for a trainer.
#include "scheduler/runners/local.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/stop_signals.h"
#include "protocol/run_files.h"
#include "testing/temporary_folder.h"

namespace flywheel::scheduler {
namespace {

using ::testing::HasSubstr;

// `script` sees SPEC as $1 and RUN as $3.
Launch shell(const std::string& run, const Path& directory, const std::string& script) {
  return {
      run,
      directory,
      {},
      {"/bin/sh", "-c", script, "trainer", (directory / protocol::kSpecFile).string(), "--dir", directory.string()}};
}

RunnerEvent wait_for_exit(LocalRunner& runner) {
  const double give_up = real_clock().now_seconds() + 60;
  while (real_clock().now_seconds() < give_up)
    for (const RunnerEvent& event : runner.wait(60))
      if (event.what == RunnerEvent::What::kEnded) return event;
  ADD_FAILURE() << "no exit";
  return {};
}

// Until the child has come so far: a script that waits on its trap writes a line first.
void wait_for_output(const Path& directory) {
  const double give_up = real_clock().now_seconds() + 60;
  std::error_code error;
  while (real_clock().now_seconds() < give_up)
    if (std::filesystem::file_size(directory / protocol::kOutputFile, error) > 0 && !error) return;
  ADD_FAILURE() << "no output";
}

TEST(LocalRunner, ChildGetsItsFolderAndItsOutputIsKept) {
  flywheel::testing::TemporaryFolder folder;
  LocalRunner runner({.cores = 1});
  runner.start(shell("a", folder.path(), "echo spec $1 $2 $3; echo error >&2; exit 7"));
  const RunnerEvent exit = wait_for_exit(runner);
  EXPECT_EQ(exit.run, "a");
  EXPECT_EQ(exit.exit_code, 7);
  const std::string output = real_file_system().read(folder.path() / protocol::kOutputFile);
  EXPECT_THAT(output, HasSubstr(fmt::format("spec {0}/spec.json --dir {0}", folder.path().string())));
  EXPECT_THAT(output, HasSubstr("error"));
  EXPECT_TRUE(runner.wait(0).empty());
}

TEST(LocalRunner, StopAsksForACheckpointAndDeathBySignalIsTold) {
  flywheel::testing::TemporaryFolder folder;
  LocalRunner runner({.cores = 1});
  const Launch launch = shell("a", folder.path(), "trap 'exit 75' TERM; echo ready; while :; do sleep 0.01; done");
  runner.start(launch);
  wait_for_output(folder.path());
  runner.stop("a", 60);
  EXPECT_EQ(wait_for_exit(runner).exit_code, 75);
  runner.stop("a", 60);  // gone already: no error
  runner.kill("a");
  runner.start(launch);
  runner.kill("a");
  EXPECT_EQ(wait_for_exit(runner).exit_code, 128 + SIGKILL);
}

TEST(LocalRunner, WhoIgnoresTheGraceIsKilled) {
  flywheel::testing::TemporaryFolder folder;
  LocalRunner runner({.cores = 1});
  runner.start(shell("a", folder.path(), "trap '' TERM; echo ready; while :; do sleep 0.01; done"));
  wait_for_output(folder.path());
  runner.stop("a", 0.01);
  EXPECT_EQ(wait_for_exit(runner).exit_code, 128 + SIGKILL);
}

TEST(LocalRunner, RunsArePlacedOnTheCoresOfTheirSlots) {
  flywheel::testing::TemporaryFolder folder;
  const int core = available_cpus().back();
  LocalRunner runner({.cores = 1}, {core});
  runner.start(shell("a", folder.path(), "grep Cpus_allowed_list /proc/self/status"));
  EXPECT_EQ(wait_for_exit(runner).exit_code, 0);
  const std::string output = real_file_system().read(folder.path() / protocol::kOutputFile);
  EXPECT_EQ(output, fmt::format("Cpus_allowed_list:\t{}\n", core));
}

TEST(LocalRunner, ChangedCapacityIsAnEvent) {
  LocalRunner runner({.cores = 1});
  EXPECT_TRUE(runner.wait(0).empty());
  runner.set_capacity({.cores = 3, .memory_bytes = 5});
  const std::vector<RunnerEvent> events = runner.wait(60);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].what, RunnerEvent::What::kCapacityChanged);
  EXPECT_EQ(runner.capacity(), (Resources{.cores = 3, .memory_bytes = 5}));
  EXPECT_TRUE(runner.wait(0).empty());
  EXPECT_THROW(runner.set_capacity({.cores = 0}), Error);
}

TEST(LocalRunner, LivingChildIsAdoptedByItsFileOrByItsCommandLine) {
  for (const bool file_is_there : {true, false}) {
    flywheel::testing::TemporaryFolder folder;
    // Without children: one of them could outlive the shell for a moment, under the same command line.
    LocalRunner first({.cores = 1});
    EXPECT_FALSE(LocalRunner({.cores = 1}).adopt("a", folder.path(), {}));
    first.start(shell("a", folder.path(), "echo ready; while :; do :; done"));
    wait_for_output(folder.path());
    if (!file_is_there) std::filesystem::remove(folder.path() / protocol::kProcessFile);
    LocalRunner second({.cores = 1});
    ASSERT_TRUE(second.adopt("a", folder.path(), {}));
    EXPECT_TRUE(second.wait(0).empty());
    second.kill("a");
    EXPECT_EQ(wait_for_exit(second).run, "a");
    EXPECT_FALSE(second.adopt("a", folder.path(), {}));
  }
}

TEST(LocalRunner, ProcessOfAnotherStartTimeOrBootIsNotAdopted) {
  flywheel::testing::TemporaryFolder folder;
  ProcessIdentity us = *identify_process(::getpid());
  ProcessIdentity reused = us, other_boot = us;
  reused.start_ticks -= 1;
  other_boot.boot_id_hash ^= 1;
  for (const ProcessIdentity& identity : {reused, other_boot}) {
    real_file_system().write_atomic(folder.path() / protocol::kProcessFile, to_json(identity).dump());
    EXPECT_FALSE(LocalRunner({.cores = 1}).adopt("a", folder.path(), {}));
  }
  real_file_system().write_atomic(folder.path() / protocol::kProcessFile, "{\"pid\":");
  EXPECT_FALSE(LocalRunner({.cores = 1}).adopt("a", folder.path(), {}));
}

// Whoever can write into the folder could name any process of ours.
TEST(LocalRunner, ALivingProcessThatIsNoneOfThisRunIsNotAdopted) {
  flywheel::testing::TemporaryFolder folder, other;
  LocalRunner first({.cores = 1});
  first.start(shell("a", other.path(), "echo ready; while :; do :; done"));
  wait_for_output(other.path());
  std::filesystem::copy_file(other.path() / protocol::kProcessFile, folder.path() / protocol::kProcessFile);
  EXPECT_FALSE(LocalRunner({.cores = 1}).adopt("a", folder.path(), {}));
  EXPECT_TRUE(LocalRunner({.cores = 1}).adopt("a", other.path(), {}));
  first.kill("a");
  wait_for_exit(first);
}

// In a process of its own, since the handler is the whole process's.
TEST(LocalRunnerDeathTest, AWishForACheckpointReachesRunsThatKnowIt) {
  const auto act = [] {
    flywheel::testing::TemporaryFolder knows, does_not;
    LocalRunner runner({.cores = 2});
    runner.start(shell("a", knows.path(), "trap 'exit 3' USR1; echo ready; while :; do sleep 0.01; done"));
    runner.start(shell("b", does_not.path(), "echo ready; while :; do sleep 0.01; done"));
    wait_for_output(knows.path());
    wait_for_output(does_not.path());
    catch_stop_signals();
    ::raise(SIGUSR1);
    const RunnerEvent exit = wait_for_exit(runner);
    const bool right = exit.run == "a" && exit.exit_code == 3 && runner.wait(0).empty();
    runner.kill("b");
    return right && wait_for_exit(runner).exit_code == 128 + SIGKILL ? 0 : 1;
  };
  EXPECT_EXIT(::_exit(act()), ::testing::ExitedWithCode(0), "");
}

TEST(LocalRunner, ProgramThatIsMissingIsNamed) {
  flywheel::testing::TemporaryFolder folder;
  LocalRunner runner({.cores = 1});
  try {
    runner.start({"a", folder.path(), {}, {"/nowhere/trainer"}});
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("/nowhere/trainer"));
  }
  EXPECT_TRUE(runner.wait(0).empty());
}

}  // namespace
}  // namespace flywheel::scheduler
