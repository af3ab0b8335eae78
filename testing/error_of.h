// The error that a call throws, for tests of messages.
#pragma once

#include <gtest/gtest.h>

#include "base/error.h"

namespace flywheel::testing {

// Fails the test where nothing is thrown.
template <typename F>
Error error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorCode::kFailed, "");
}

}  // namespace flywheel::testing
