// Quantities as people write and read them: "10m", "1e14", "1.3B", "512 KiB"; and lines of a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flywheel {

// A budget is a time or a number of FLOPs, never both.
struct Budget {
  double seconds = 0;  // 0: not limited
  double flops = 0;    // 0: not limited
};

// "90s" "10m" "1.5h" "2d" are times; "1e14" or "100000000000000" are FLOPs. Throws kBadInput on anything else: zero,
// negative, not a number, under a second, over ten years, under 1e6 or over 1e30 FLOPs.
Budget parse_budget(std::string_view text);

std::string format_seconds(double seconds);  // "2 min 05 s"
std::string format_bytes(double bytes);      // "1.5 MB"
std::string format_count(double count);      // "1.3M"
std::string format_power(double value);      // "6.5e10": three digits, as --budget and --flops read it
std::string format_flops(double flops);      // "3.2e12 FLOPs"

// `text` in which numbers with a fraction of many digits have four significant ones: "optimizer.momentum=0.9312". For
// eyes only; what is to be read back keeps every digit.
std::string with_short_numbers(std::string_view text);

// A command as a shell reads it back: arguments with other characters than plain ones are quoted.
std::string shell_command(const std::vector<std::string>& arguments);

// `text` in lines of at most `columns` characters (UTF-8 code points), broken at blanks only; all but the first begin
// with `indent` blanks. A longer word gets a line of its own. Does not end in a line end.
std::string wrapped(std::string_view text, int columns, int indent = 0);

}  // namespace flywheel
