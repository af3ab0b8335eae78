// Text without any order, printable, the same for a seed.
#pragma once

#include <cstdint>
#include <string>

#include "base/rng.h"

namespace flywheel::testing {

inline std::string random_text(size_t bytes, uint64_t seed) {
  Rng rng(seed);
  std::string text;
  while (text.size() < bytes) text += static_cast<char>('!' + rng.below(90));
  return text;
}

}  // namespace flywheel::testing
