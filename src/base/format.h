// Quantities as people write and read them: "10m", "1e14", "1.3B", "512 KiB".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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
std::string format_flops(double flops);      // "3.2e12 FLOP"

}  // namespace flywheel
