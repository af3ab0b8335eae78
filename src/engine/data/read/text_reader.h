// One file as text in UTF-8: decompressed when it is compressed, converted when it is in another encoding, refused when
// it is binary, damaged, unpacks to too much or changes while it is read.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/file_system.h"

namespace flywheel::data {

struct ReadOutcome {
  enum class Kind {
    kText,
    kEmpty,
    kBinary,
    kUnreadable,
    kChanged,
    kSpecial,
    kEncoding,  // text in an encoding that was not recognised
    kTooLarge   // unpacks to more than the limits below
  } kind = Kind::kText;
  std::string reason{};
  std::string encoding{};  // that it was converted from; empty: none
  bool compressed = false;
  bool strange_bytes = false;  // text that is kept as it is, with a few bytes that are not UTF-8
};

// A compressed file is left out when it unpacks to more than so many times its size and more than 64 MiB (text comes
// to 3 to 20 times, logs to 100; gzip can say at most 1,032 times), or to more than 64 GiB, above the largest files
// that public corpora come in.
inline constexpr uint64_t kMostUnpackedRatio = 250;
inline constexpr uint64_t kUnpackedWithoutRatio = 64ull << 20;
inline constexpr uint64_t kMostUnpackedBytes = 64ull << 30;

// Calls `sink` with the text in order, in chunks. What the sink got counts only when the outcome is kText: a damaged
// archive or a changed file shows at the end. gzip, xz, zstd and bzip2 are known by their first bytes, not their names.
// What `sink` throws passes through.
ReadOutcome read_text(const Path& path, const std::function<void(std::string_view)>& sink);
// The same for the bytes of a file.
ReadOutcome read_text_of(std::string_view bytes, const std::function<void(std::string_view)>& sink);

}  // namespace flywheel::data
