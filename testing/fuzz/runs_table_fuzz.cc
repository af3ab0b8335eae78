// A table of runs, and the columns of sweeps.
#include "scaling/tables/runs_table.h"
#include "scaling/tables/sweep_table.h"
#include "testing/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return flywheel::testing::parse_or_refuse(data, size, [](std::string_view text) {
    using namespace flywheel::scaling;
    const RunsTable table = parse_runs(text, "fuzz", TableOptions{.skip_bad_rows = true});
    parse_sweep(text, "fuzz", table);
  });
}
