#include "report/comparison_text.h"

#include <cmath>

#include "evidence/paired_comparison.h"
#include "report/cost_text.h"
#include "report/multiplier_text.h"
#include "report/text_rows.h"

namespace flywheel::report {
namespace {

// "0.0043 bits per byte (worth 3.1% of compute)"
std::string bound_text(const ledger::ComparisonRecord& result) {
  const std::string bits = fmt::format("{:.2g} bits per byte", *result.bound);
  return result.bound_worth ? fmt::format("{} (worth {:.2g}% of compute)", bits, 100 * *result.bound_worth) : bits;
}

// What it takes to decide it.
std::string more_budget_text(const ledger::ComparisonRecord& result, double planned_pairs) {
  if (*result.more_budget >= evidence::PairedComparison::kMostTimes)
    return "no budget is expected to decide it: the rungs contradict each other";
  std::string text = fmt::format("to decide it takes about {:.1f} times the budget, with --pairs {:.0f}",
                                 *result.more_budget, std::ceil(planned_pairs * *result.more_budget));
  if (result.expected_verdict)
    text += fmt::format("; then the verdict is expected to be \"{}\"", name(*result.expected_verdict));
  return text;
}

}  // namespace

std::string comparison_sentence(const ledger::ComparisonRecord& result) {
  using protocol::ComparisonVerdict;
  const ledger::Interval& d = result.difference;
  const std::string interval = std::isfinite(d.low) && std::isfinite(d.high)
                                   ? fmt::format(" (95% interval: {:+.4f} to {:+.4f})", d.low, d.high)
                                   : "";
  const std::string differs =
      std::isfinite(d.value) ? fmt::format("its loss differs by {:+.4f} bits per byte{}", d.value, interval) : "";
  if (result.verdict == ComparisonVerdict::kNoDifference && result.bound)
    return fmt::format("The changed recipe makes no difference larger than {} on either rung: {}.", bound_text(result),
                       differs);
  if (result.verdict == ComparisonVerdict::kUndecided) {
    std::string text = "Undecided: these runs cannot tell whether the changed recipe is better or worse";
    if (!differs.empty()) text += "; " + differs;
    if (result.bound) text += "; differences larger than " + bound_text(result) + " are excluded";
    return text + ".";
  }
  std::string text = fmt::format("The changed recipe is {}", name(result.verdict));
  if (!differs.empty()) text += ": " + differs;
  if (result.multiplier && std::isfinite(result.multiplier->value))
    text += fmt::format(", and the base takes {} the training compute for the same loss",
                        multiplier_text(*result.multiplier, "90%"));
  return text + ".";
}

std::string failed_text(const ledger::ComparisonRecord& result) {
  const auto sides = [](const ledger::ComparisonRecord::Sides& runs, const char* what) {
    if (runs.base == 0 && runs.candidate == 0) return std::string();
    return fmt::format("{} of the base's runs and {} of the candidate's {}", runs.base, runs.candidate, what);
  };
  const std::string failed = result.failed ? sides(*result.failed, "failed for what the recipe does") : "",
                    ruined = result.ruined ? sides(*result.ruined, "ended far above the others of their side") : "";
  return failed + (failed.empty() || ruined.empty() ? "" : "; ") + ruined;
}

std::string comparison_rows(const ledger::ComparisonRecord& result, double planned_pairs) {
  const auto number = [](double value) {
    return std::isfinite(value) ? fmt::format("{:+.4f}", value) : std::string("open");
  };
  const auto interval = [&](const ledger::Interval& d) {
    return fmt::format("{} ({} to {})", number(d.value), number(d.low), number(d.high));
  };
  const bool same = result.verdict == protocol::ComparisonVerdict::kNoDifference && result.bound;
  std::string rows =
      row("verdict", std::string(name(result.verdict)) + (same ? " larger than " + bound_text(result) : "") +
                         "; differences are the second recipe's loss minus the first's, bits per byte");
  rows += row("difference", interval(result.difference) + ", 95% at any time");
  if (result.multiplier) rows += row("worth", multiplier_text(*result.multiplier, "90%") + " compute");
  if (result.time_multiplier)
    rows += row(result.multiplier ? "" : "worth", multiplier_text(*result.time_multiplier, "90%") +
                                                      " time on this machine" + busy_text(result.cpu_share));
  for (const ledger::RungEffect& rung : result.rungs)
    rows += row_below(fmt::format("at {}: {} at 90%, {} pairs, worth {}", format_flops(rung.flops),
                                  interval(rung.difference), rung.pairs, multiplier_text(rung.multiplier)));
  for (const ledger::ComparedCosts& costs : result.costs.value_or(std::vector<ledger::ComparedCosts>{}))
    rows += costs_text(costs, "  ");
  if (!same && result.bound) rows += row("excluded", "differences larger than " + bound_text(result));
  if (const std::string failed = failed_text(result); !failed.empty()) rows += row("failed", failed);
  if (result.more_budget && std::isfinite(*result.more_budget))
    rows += row("undecided", more_budget_text(result, planned_pairs));
  return rows;
}

}  // namespace flywheel::report
