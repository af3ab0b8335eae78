#include "base/stop_signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace flywheel {
namespace {

// Wait status of a child that does this and then exits with what it returns: handlers are the whole process's.
int status_of_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST(StopSignals, EachOneIsRemembered) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXCPU}) {
    const int status = status_of_child([number] {
      ::signal(number, SIG_DFL);
      catch_stop_signals();
      if (stop_signal() != 0) return 1;
      ::raise(number);
      return stop_signal() == number ? 0 : 2;
    });
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << number << ": " << status;
  }
}

TEST(StopSignals, ASecondInterruptEndsAtOnceAndASecondTerminationDoesNot) {
  const int interrupted = status_of_child([] {
    catch_stop_signals();
    ::raise(SIGINT);
    ::raise(SIGINT);
    return 0;
  });
  EXPECT_TRUE(WIFEXITED(interrupted) && WEXITSTATUS(interrupted) == 130) << interrupted;
  const int terminated = status_of_child([] {
    catch_stop_signals();
    ::raise(SIGTERM);
    ::raise(SIGTERM);
    return 0;
  });
  EXPECT_TRUE(WIFEXITED(terminated) && WEXITSTATUS(terminated) == 0) << terminated;
}

TEST(StopSignals, WhatIsIgnoredStaysIgnored) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXCPU, SIGUSR1}) {
    const int status = status_of_child([number] {
      ::signal(number, SIG_IGN);
      catch_stop_signals();
      ::raise(number);
      return stop_signal() + static_cast<int>(checkpoint_requests());
    });
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << number << ": " << status;
  }
}

TEST(StopSignals, AWishForACheckpointIsCountedAndStopsNothing) {
  const int status = status_of_child([] {
    catch_stop_signals();
    ::raise(SIGUSR1);
    ::raise(SIGUSR1);
    return checkpoint_requests() == 2 && stop_signal() == 0 ? 0 : 1;
  });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST(StopSignals, AnInterruptIsToldFromTheOthers) {
  EXPECT_EQ(stop_code(SIGINT), ErrorCode::kInterrupted);
  EXPECT_EQ(stop_code(SIGTERM), ErrorCode::kStoppedEarly);
  EXPECT_EQ(stop_code(SIGHUP), ErrorCode::kStoppedEarly);
}

}  // namespace
}  // namespace flywheel
