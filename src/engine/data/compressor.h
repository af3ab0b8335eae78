// What a general compressor makes of the text that models are scored on: a number of the same unit, from a program that
// has learnt nothing before. It sees only that text, a model has read the training text: a model that is worse has
// learnt little, or the text repeats itself over more than the pieces that models are scored on.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "protocol/splits.h"

namespace flywheel::data {

struct CompressorFacts {
  std::string name;  // the command that does the same
  double bits_per_byte = 0;
  protocol::Split split{};
  int64_t bytes = 0;  // of text, uncompressed
};

// About two seconds of one core; a corpus that is larger is measured on its first documents, which are as good as
// drawn, since they stand in the order of their hashes. The dictionary of xz -6 is as large: up to here xz -9 makes the
// same.
inline constexpr int64_t kMostCompressedBytes = 4 << 20;

// `tokens`: of a split; what marks the end of a document is left out. Empty: there is no text, or no memory for it.
std::optional<CompressorFacts> compress(protocol::Split split, std::span<const uint16_t> tokens);

}  // namespace flywheel::data
