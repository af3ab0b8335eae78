// A list of changes, as --changes takes it.
#include "search/proposers/proposer.h"
#include "testing/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return flywheel::testing::parse_or_refuse(
      data, size, [](std::string_view text) { flywheel::search::check_list(std::string(text), "fuzz"); });
}
