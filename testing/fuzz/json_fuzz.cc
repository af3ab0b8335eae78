// The one JSON parser; what it reads can be written, and means the same then.
#include "base/json.h"
#include "testing/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return flywheel::testing::parse_or_refuse(data, size, [](std::string_view text) {
    const auto json = flywheel::parse_json(text, "fuzz");
    if (flywheel::parse_json(flywheel::canonical_json(json), "again") != json && json == json) std::abort();
  });
}
