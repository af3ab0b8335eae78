#include "report/multiplier_text.h"

#include <fmt/format.h>

#include <cmath>

#include "evidence/paired_runs.h"

namespace flywheel::report {

std::string times_text(double times) {
  if (!std::isfinite(times) || times <= 0) return "open";
  return fmt::format("{:.2f}x", times);
}

bool is_lower_bound(const ledger::Interval& multiplier) {
  const auto& [value, low, high] = multiplier;
  return std::isfinite(value) && low > 0 && !std::isfinite(high) &&
         (value == low || value >= evidence::kFarthestMultiple);
}

bool is_upper_bound(const ledger::Interval& multiplier) {
  const auto& [value, low, high] = multiplier;
  return std::isfinite(value) && !(low > 0) && std::isfinite(high) &&
         (value == high || value <= 1 / evidence::kFarthestMultiple);
}

std::string multiplier_text(const ledger::Interval& multiplier, std::string_view level) {
  if (!std::isfinite(multiplier.value)) return "cannot be said";
  const std::string at = level.empty() ? "" : fmt::format(" ({})", level);
  if (is_lower_bound(multiplier)) return fmt::format("at least {:.3g}x{}", multiplier.low, at);
  if (is_upper_bound(multiplier)) return fmt::format("at most {:.3g}x{}", multiplier.high, at);
  if (!std::isfinite(multiplier.low) && !std::isfinite(multiplier.high)) return times_text(multiplier.value);
  return fmt::format("{} ({}{}{} to {})", times_text(multiplier.value), level, level.empty() ? "" : ": ",
                     times_text(multiplier.low), times_text(multiplier.high));
}

}  // namespace flywheel::report
