// The text of a table that a user names: plain or compressed.
#pragma once

#include <string>

namespace flywheel::cli {

// Plain text, or gzip, xz, zstd, bzip2. Throws kBadInput for a file that is not there or not text.
std::string read_table_file(const std::string& path);

}  // namespace flywheel::cli
