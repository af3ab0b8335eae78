// The manifest of a corpus.
#include "base/json.h"
#include "engine/data/corpus.h"
#include "testing/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return flywheel::testing::parse_or_refuse(data, size, [](std::string_view text) {
    using namespace flywheel;
    data::manifest_from_json(parse_json(text, "fuzz"), "fuzz");
  });
}
