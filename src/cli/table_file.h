// The bytes of a table that a user names: a file, plain or compressed, a pipe, or standard input.
#pragma once

#include <string>
#include <string_view>

namespace flywheel::cli {

// `path`: "-" is standard input, which can be read once. gzip, xz, zstd and bzip2 files are read as what they hold.
// Throws kBadInput for what is not there, a folder, damaged or larger than kMostTableBytes, with what was expected.
std::string read_table_file(const std::string& path, std::string_view expected = "a table of runs");
inline constexpr size_t kMostTableBytes = size_t{1} << 30;

inline constexpr const char* kColumnsHelp =
    "Which columns are meant: N=params_m*1e6,D=\"Tokens (B)\",L=val/loss; sums, products and brackets count";

// How messages call a path.
std::string table_name(const std::string& path);

}  // namespace flywheel::cli
