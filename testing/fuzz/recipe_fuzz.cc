// A recipe as TOML: one that is accepted reads back to the same hash.
#include "recipe/recipe.h"
#include "testing/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return flywheel::testing::parse_or_refuse(data, size, [](std::string_view text) {
    using namespace flywheel;
    const recipe::Recipe read = recipe::recipe_from_toml(text, "fuzz");
    if (recipe::recipe_hash(recipe::recipe_from_toml(recipe::to_toml(read), "again")) != recipe::recipe_hash(read))
      std::abort();
  });
}
