// One file as text: decompressed when it is compressed, refused when it is binary, damaged or changes while it is read.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/file_system.h"

namespace flywheel::data {

inline constexpr const char* kBinaryRule =
    "binary: a NUL byte in the first 8 KiB, or more than 5% of the bytes of the first 64 KiB neither valid UTF-8 text "
    "nor "
    "white space";

// By the rule above, on the first 64 KiB of a text (or all of it when shorter).
bool looks_binary(std::string_view sample, bool whole_text);

struct ReadOutcome {
  enum class Kind { kText, kEmpty, kBinary, kUnreadable, kChanged, kSpecial } kind = Kind::kText;
  std::string reason;
};

// Calls `sink` with the text in order, in chunks. What the sink got counts only when the outcome is kText: a damaged
// archive or a changed file shows at the end. gzip, xz, zstd and bzip2 are known by their first bytes, not their names.
// What `sink` throws passes through.
ReadOutcome read_text(const Path& path, const std::function<void(std::string_view)>& sink);

}  // namespace flywheel::data
