// The text of a table that a user names: plain or compressed.
#pragma once

#include <string>
#include <string_view>

namespace flywheel::cli {

// Plain text, or gzip, xz, zstd, bzip2. Throws kBadInput for a file that is not there or not text, with what was
// expected.
std::string read_table_file(const std::string& path, std::string_view expected = "a CSV of runs");

}  // namespace flywheel::cli
