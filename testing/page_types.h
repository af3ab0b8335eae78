// Holds page data that C++ writes against the TypeScript type that web/ reads it as (web/check_types.mjs). For
// report_test, which CMake tells where node and web/ are.
//   EXPECT_EQ(testing::type_errors(page_data(...).dump(), "src/data.ts", "ReportData"), "");
#pragma once

#include <string>
#include <string_view>

#include "base/subprocess.h"
#include "testing/temporary_folder.h"

namespace flywheel::testing {

// What the TypeScript compiler has against `json` as a value of `type` in `module` (a path below web/): fields that the
// type does not know, fields that are missing, values of another type; one a line, empty when it has nothing.
inline std::string type_errors(std::string_view json, const std::string& module, const std::string& type) {
  const TemporaryFolder folder;
  const Path file = folder.path() / "page.json";
  real_file_system().write_atomic(file, json);
  const CommandResult result =
      run_command({FLYWHEEL_NODE, FLYWHEEL_WEB "/check_types.mjs", module, type, file.string()});
  if (result.exit_code == 0) return "";
  return result.standard_output + result.standard_error;
}

}  // namespace flywheel::testing
