// The one exception that ends a command, with the exit status it maps to. Why: libraries neither print nor exit.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace flywheel {

// Values are the process exit codes of the command-line contract.
enum class ErrorCode {
  kFailed = 1,         // it could not be done
  kBadInput = 2,       // bad usage or bad input; nothing was written
  kStoppedEarly = 75,  // stopped with a checkpoint, run again to continue
  kLocked = 76,        // another process works on the lab or the run
  kInterrupted = 130,
};

// The message says what was expected, what was found, where, and what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

template <typename... Args>
[[noreturn]] void throw_bad_input(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorCode::kBadInput, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
[[noreturn]] void throw_failed(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorCode::kFailed, fmt::format(format, std::forward<Args>(args)...));
}

// "No space left on device" and the like, for errno values.
std::string errno_text(int error_number);

}  // namespace flywheel
