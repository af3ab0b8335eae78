// CHECK: a broken invariant of our own code. Stays on in release; no user input can reach it.
#pragma once

#include <fmt/format.h>

#include <string>

namespace flywheel {
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& detail);
}  // namespace flywheel

#define CHECK(condition, ...)                                                                  \
  do {                                                                                         \
    if (!(condition)) [[unlikely]]                                                             \
      ::flywheel::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (false)
