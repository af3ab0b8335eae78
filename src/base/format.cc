#include "base/format.h"

#include <charconv>
#include <cmath>

#include "base/error.h"

namespace flywheel {

Budget parse_budget(std::string_view text) {
  constexpr const char* kExpected = "expected a time such as 90s, 10m, 1.5h or 2d, or a number of FLOPs such as 1e14";
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const std::string_view unit(stop, static_cast<size_t>(end - stop));
  if (error != std::errc() || !std::isfinite(value)) throw_bad_input("budget \"{}\": {}", text, kExpected);
  if (value <= 0) throw_bad_input("budget \"{}\" buys nothing: {}", text, kExpected);
  if (unit.empty()) {
    if (value < 1e6 || value > 1e30)
      throw_bad_input(
          "budget \"{}\" would be {:.3g} FLOPs; between 1e6 and 1e30 make sense. For a time write 90s, 10m or 2h.",
          text, value);
    return {.seconds = 0, .flops = value};
  }
  double scale = 0;
  if (unit == "s") scale = 1;
  if (unit == "m" || unit == "min") scale = 60;
  if (unit == "h") scale = 3600;
  if (unit == "d") scale = 86400;
  if (scale == 0) throw_bad_input("budget \"{}\": unknown unit \"{}\"; {}", text, unit, kExpected);
  const double seconds = value * scale;
  if (seconds < 1 || seconds > 10 * 365.25 * 86400)
    throw_bad_input("budget \"{}\" is {:.3g} seconds; between one second and ten years make sense", text, seconds);
  return {.seconds = seconds, .flops = 0};
}

std::string format_seconds(double seconds) {
  if (seconds < 0.1) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
  return fmt::format("{} d {:02} h", whole / 86400, whole % 86400 / 3600);
}

std::string format_bytes(double bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  int unit = 0;
  while (bytes >= 999.5 && unit < 5) bytes /= 1000, ++unit;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.3g} {}", bytes, units[unit]);
}

std::string format_count(double count) {
  const char* units[] = {"", "k", "M", "B", "T"};
  int unit = 0;
  while (std::abs(count) >= 999.5 && unit < 4) count /= 1000, ++unit;
  return fmt::format("{:.3g}{}", count, units[unit]);
}

std::string format_flops(double flops) {
  return fmt::format("{:.3g} FLOP", flops);
}

}  // namespace flywheel
