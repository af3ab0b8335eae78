// The local runner with real processes: shell scripts stand in for a trainer.
#include "scheduler/local_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "protocol/run_events.h"
#include "testing/temporary_folder.h"

namespace flywheel::scheduler {
namespace {

using ::testing::HasSubstr;

// `script` sees SPEC as $1 and RUN as $3.
std::vector<std::string> shell(const std::string& script) {
  return {"/bin/sh", "-c", script, "trainer"};
}

RunnerExit wait_for_exit(LocalRunner& runner) {
  const double give_up = real_clock().now_seconds() + 60;
  while (real_clock().now_seconds() < give_up)
    if (const auto exits = runner.poll(); !exits.empty()) return exits[0];
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
  LocalRunner runner(shell("echo spec $1 $2 $3; echo error >&2; exit 7"));
  runner.start("a", folder.path(), {});
  const RunnerExit exit = wait_for_exit(runner);
  EXPECT_EQ(exit.run, "a");
  EXPECT_EQ(exit.exit_code, 7);
  const std::string output = real_file_system().read(folder.path() / protocol::kOutputFile);
  EXPECT_THAT(output, HasSubstr(fmt::format("spec {0}/spec.json --dir {0}", folder.path().string())));
  EXPECT_THAT(output, HasSubstr("error"));
  EXPECT_TRUE(runner.poll().empty());
}

TEST(LocalRunner, SignalsReachTheChildAndDeathBySignalIsTold) {
  flywheel::testing::TemporaryFolder folder;
  LocalRunner runner(shell("trap 'exit 75' TERM; echo ready; while :; do sleep 0.01; done"));
  runner.start("a", folder.path(), {});
  wait_for_output(folder.path());
  runner.signal("a", SIGTERM);
  EXPECT_EQ(wait_for_exit(runner).exit_code, 75);
  runner.signal("a", SIGTERM);  // gone already: no error
  runner.start("b", folder.path(), {});
  runner.signal("b", SIGKILL);
  EXPECT_EQ(wait_for_exit(runner).exit_code, 128 + SIGKILL);
}

TEST(LocalRunner, LivingChildIsAdoptedByItsFileOrByItsCommandLine) {
  for (const bool file_is_there : {true, false}) {
    flywheel::testing::TemporaryFolder folder;
    // Without children: one of them could outlive the shell for a moment, under the same command line.
    LocalRunner first(shell("echo ready; while :; do :; done"));
    EXPECT_FALSE(LocalRunner().adopt("a", folder.path()));
    first.start("a", folder.path(), {});
    wait_for_output(folder.path());
    if (!file_is_there) std::filesystem::remove(folder.path() / protocol::kProcessFile);
    LocalRunner second;
    ASSERT_TRUE(second.adopt("a", folder.path()));
    EXPECT_TRUE(second.poll().empty());
    second.signal("a", SIGKILL);
    EXPECT_EQ(wait_for_exit(second).run, "a");
    EXPECT_FALSE(second.adopt("a", folder.path()));
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
    EXPECT_FALSE(LocalRunner().adopt("a", folder.path()));
  }
  real_file_system().write_atomic(folder.path() / protocol::kProcessFile, "{\"pid\":");
  EXPECT_FALSE(LocalRunner().adopt("a", folder.path()));
}

TEST(LocalRunner, ProgramThatIsMissingIsNamed) {
  flywheel::testing::TemporaryFolder folder;
  LocalRunner runner({"/nowhere/trainer"});
  try {
    runner.start("a", folder.path(), {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("/nowhere/trainer"));
  }
  EXPECT_TRUE(runner.poll().empty());
}

}  // namespace
}  // namespace flywheel::scheduler
