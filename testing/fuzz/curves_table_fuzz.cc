// A table of loss curves.
#include "scaling/tables/curve_table.h"
#include "testing/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return flywheel::testing::parse_or_refuse(
      data, size, [](std::string_view text) { flywheel::scaling::parse_curves(text, "fuzz"); });
}
