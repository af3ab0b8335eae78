// One patch of the default recipe.
#include "recipe/recipe.h"
#include "testing/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return flywheel::testing::parse_or_refuse(
      data, size, [](std::string_view text) { flywheel::recipe::apply_patch(flywheel::recipe::Recipe{}, text); });
}
