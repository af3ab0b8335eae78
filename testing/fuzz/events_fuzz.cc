// events.jsonl of a run: any bytes are lines, damaged or not.
#include "protocol/run_events.h"
#include "testing/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return flywheel::testing::parse_or_refuse(data, size, [](std::string_view text) {
    const flywheel::testing::FileOfBytes file(text);
    flywheel::protocol::read_outcome(file.path());
  });
}
