#include "base/process_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

namespace flywheel {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ProcessIdentity shell(const std::string& script) {
  return spawn({.arguments = {"/bin/sh", "-c", script}, .stdout_path = {}, .stderr_path = {}, .cpus = {}});
}

TEST(ProcessWatch, TellsEachEndOnce) {
  ProcessWatch watch;
  EXPECT_THAT(watch.wait(0), IsEmpty());
  const ProcessIdentity lasting = shell("while :; do sleep 1; done"), ending = shell("exit 3");
  watch.add(lasting);
  watch.add(ending);
  EXPECT_THAT(watch.wait(60), ElementsAre(ending.pid));
  EXPECT_EQ(try_wait(ending.pid), 3);
  EXPECT_THAT(watch.wait(0), IsEmpty());
  ::kill(-lasting.pid, SIGKILL);
  EXPECT_THAT(watch.wait(60), ElementsAre(lasting.pid));
  EXPECT_EQ(try_wait(lasting.pid), 128 + SIGKILL);
}

TEST(ProcessWatch, ProcessThatIsGoneAlreadyIsToldAtOnce) {
  const ProcessIdentity gone = shell("exit 0");
  while (!try_wait(gone.pid)) {
  }
  ProcessWatch watch;
  watch.add(gone);
  EXPECT_THAT(watch.wait(60), ElementsAre(gone.pid));
}

}  // namespace
}  // namespace flywheel
