#include "report/cost_text.h"

#include <fmt/format.h>

#include <cmath>

#include "base/format.h"

namespace flywheel::report {
namespace {

constexpr double kBusyShare = 0.9;  // below, other processes took a tenth of the time or more

template <typename Format>
std::string side(double value, Format format) {
  return std::isfinite(value) ? std::string(format(value)) : "-";
}

template <typename Format>
std::string row(const std::string& indent, const char* name, double base, double candidate, Format format) {
  const double ratio = candidate / base;
  return fmt::format("{}  {:<26} {:>14} {:>14}  {}\n", indent, name, side(base, format), side(candidate, format),
                     std::isfinite(ratio) ? fmt::format("{:.2f}x", ratio) : "");
}

}  // namespace

std::optional<double> counted(double flops, double train_flops) {
  return flops > 0 || train_flops <= 0 ? std::optional(flops) : std::nullopt;
}

std::string spend_text(const ledger::Spend& spend) {
  const bool optimizers = spend.optimizer_flops > 0, evaluations = spend.evaluation_flops > 0;
  std::string text = format_flops(spend.flops());
  if (optimizers || evaluations) text += fmt::format(": {} of training models", format_flops(spend.train_flops));
  if (optimizers) text += fmt::format(", {} of their optimizers", format_flops(spend.optimizer_flops));
  if (evaluations) text += fmt::format(", {} of evaluations", format_flops(spend.evaluation_flops));
  if (spend.train_flops <= 0 || (optimizers && evaluations)) return text;
  return text + fmt::format(" ({} not counted)", optimizers    ? "evaluations"
                                                 : evaluations ? "optimizers"
                                                               : "optimizers and evaluations");
}

std::string costs_text(const ledger::ComparedCosts& costs, const std::string& indent) {
  const ledger::RunCosts &base = costs.base, &candidate = costs.candidate;
  const std::string title = "a run at " + format_flops(costs.flops);
  std::string text = fmt::format("{}{:<28} {:>14} {:>14}\n", indent, title, "base", "candidate");
  text += row(indent, "FLOPs of the model", base.model_flops, candidate.model_flops, format_flops);
  text += row(indent, "FLOPs of the optimizer", base.optimizer_flops, candidate.optimizer_flops, format_flops);
  text += row(indent, "FLOPs together", base.model_flops + base.optimizer_flops,
              candidate.model_flops + candidate.optimizer_flops, format_flops);
  text += row(indent, "time on this machine", base.seconds, candidate.seconds, format_seconds);
  text += row(indent, "parameters in matrices (N)", base.matrix_parameters, candidate.matrix_parameters, format_count);
  text += row(indent, "parameters, all", base.parameters, candidate.parameters, format_count);
  text += row(indent, "bytes of the model file", base.artifact_bytes, candidate.artifact_bytes, format_bytes);
  text += row(indent, "bytes moved by look-ups", base.lookup_bytes, candidate.lookup_bytes, format_bytes);
  return text;
}

std::string busy_text(const std::optional<double>& cpu_share) {
  if (!cpu_share || *cpu_share >= kBusyShare) return "";
  return fmt::format("; busy: its runs had the processor {:.0f}% of their time", 100 * *cpu_share);
}

}  // namespace flywheel::report
