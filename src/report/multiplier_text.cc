#include "report/multiplier_text.h"

#include <fmt/format.h>

#include <cmath>

#include "evidence/paired_runs.h"

namespace flywheel::report {

std::string times_text(double times) {
  if (!std::isfinite(times) || times <= 0) return "open";
  if (times >= evidence::kFarthestMultiple) return fmt::format("at least {:.3g}x", times);
  if (times <= 1 / evidence::kFarthestMultiple) return fmt::format("at most {:.3g}x", times);
  return fmt::format("{:.2f}x", times);
}

bool is_lower_bound(const ledger::Interval& multiplier) {
  return std::isfinite(multiplier.value) && multiplier.value == multiplier.low && !std::isfinite(multiplier.high);
}

bool is_upper_bound(const ledger::Interval& multiplier) {
  return std::isfinite(multiplier.value) && multiplier.value == multiplier.high && multiplier.low <= 0;
}

std::string multiplier_text(const ledger::Interval& multiplier, std::string_view level) {
  if (!std::isfinite(multiplier.value)) return "cannot be said";
  if (is_lower_bound(multiplier)) return fmt::format("at least {:.3g}x", multiplier.value);
  if (is_upper_bound(multiplier)) return fmt::format("at most {:.3g}x", multiplier.value);
  if (!std::isfinite(multiplier.low) && !std::isfinite(multiplier.high)) return times_text(multiplier.value);
  return fmt::format("{} ({}{}{} to {})", times_text(multiplier.value), level, level.empty() ? "" : ": ",
                     times_text(multiplier.low), times_text(multiplier.high));
}

}  // namespace flywheel::report
