// spec.json of a run.
#include "base/json.h"
#include "recipe/run_spec.h"
#include "testing/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return flywheel::testing::parse_or_refuse(data, size, [](std::string_view text) {
    using namespace flywheel;
    const recipe::RunSpec spec = recipe::run_spec_from_json(parse_json(text, "fuzz"), "fuzz");
    recipe::run_spec_from_json(to_json(spec), "again");
  });
}
