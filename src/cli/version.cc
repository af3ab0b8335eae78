#include "cli/version.h"

#include <fmt/format.h>

#include "cli/commit.h"  // made by the build: cmake/write_commit.cmake
#include "engine/kernels/kernels.h"

namespace flywheel::cli {
namespace {

constexpr const char* kCompiler =
#if defined(__clang__)
    "clang " __clang_version__;
#elif defined(__GNUC__)
    "g++ " __VERSION__;
#else
    "unknown";
#endif

}  // namespace

std::string program_version() {
  return FLYWHEEL_VERSION " (commit " FLYWHEEL_COMMIT ")";
}

std::string version_text() {
  return fmt::format("flywheel {}\n  commit           {}\n  instruction set  {}{}\n  compiler         {}\n",
                     FLYWHEEL_VERSION, FLYWHEEL_COMMIT, kernels::instruction_set(),
                     kernels::has_bfloat16_dot() ? ", bfloat16 products in hardware" : "", kCompiler);
}

// All texts are plain: nothing of them needs an escape.
std::string version_json() {
  return fmt::format(
      R"({{"version":"{}","commit":"{}","instruction_set":"{}","bfloat16_products":{},"compiler":"{}"}})",
      FLYWHEEL_VERSION, FLYWHEEL_COMMIT, kernels::instruction_set(), kernels::has_bfloat16_dot(), kCompiler);
}

}  // namespace flywheel::cli
