#include "report/utilisation.h"

#include <fmt/format.h>

#include <map>
#include <numeric>

namespace flywheel::report {
namespace {

// Names are those of "seconds_by" in a run's events (protocol/run_events.h), in the order in which they are shown.
struct Part {
  const char *name, *text;
};
constexpr Part kParts[] = {
    {"sequences", "forward and backward"}, {"optimizer", "optimizer"},
    {"evaluation", "evaluations"},         {"start", "starting to train"},
    {"checkpoint", "checkpoints"},         {"process", "processes beginning and ending, killed runs"}};

double seconds_of(const ledger::AttemptEnded& attempt) {
  return attempt.measured->seconds;
}
double seconds_of(const ledger::RunFinished& run) {
  return run.seconds;
}
// What a run said of itself, where it is possible: its parts are no more than its time as the lab saw it.
std::map<std::string, double> believed(const std::map<std::string, double>& parts, double run_seconds) {
  constexpr double kStarted = 0.1;  // the lab may see a start a little late
  double sum = 0;
  for (const auto& [part, seconds] : parts) {
    if (!(seconds >= 0)) return {};
    sum += seconds;
  }
  return sum <= run_seconds + kStarted ? parts : std::map<std::string, double>{};
}

}  // namespace

std::optional<Utilisation> utilisation(const ledger::Ledger& ledger) {
  const auto machine = ledger.last<ledger::MachineRecord>();
  const ledger::Spend spend = ledger.spend();
  if (!machine || !(machine->value.peak_gflops_fp32 > 0) || machine->value.threads < 1 || !(spend.slot_seconds > 0))
    return std::nullopt;
  const double peak_flops = machine->value.peak_gflops_fp32 * 1e9 / machine->value.threads;
  Utilisation result{.of_fp32_peak = (spend.train_flops + spend.optimizer_flops) / (spend.slot_seconds * peak_flops),
                     .core_peak_gflops = peak_flops * 1e-9,
                     .slot_seconds = spend.slot_seconds,
                     .parts = {},
                     .idle_seconds = {}};
  if (const auto ended = ledger.last<ledger::ReportRecord>())
    result.idle_seconds = std::max(0.0, ended->value.seconds * ended->value.slots - ended->value.slot_seconds);
  std::map<std::string, double> seconds;
  const auto add = [&](const auto& records) {
    for (const auto& record : records) {
      if (!record.value.measured) continue;
      for (const auto& [part, value] : believed(record.value.measured->seconds_by, seconds_of(record.value)))
        seconds[part] += value;
    }
  };
  add(ledger.all<ledger::AttemptEnded>());
  add(ledger.all<ledger::RunFinished>());
  double told = std::accumulate(seconds.begin(), seconds.end(), 0.0,
                                [](double sum, const auto& part) { return sum + part.second; });
  double other = 0;
  for (const auto& record : ledger.all<ledger::SpendRecord>()) other += record.value.seconds;
  // Runs that said nothing of their time (killed, or of an earlier program) are in it too.
  if (told > 0) seconds["process"] = std::max(0.0, spend.slot_seconds - told - other);
  for (const Part& part : kParts) {
    const auto found = seconds.find(part.name);
    if (found != seconds.end() && found->second > 0) result.parts.push_back({part.name, part.text, found->second});
  }
  if (told > 0 && other > 0) result.parts.push_back({"last_look", "the last look at the best model", other});
  return result;
}

std::string utilisation_text(const Utilisation& utilisation) {
  std::string text =
      fmt::format("{:.0f}% of a core's float32 peak of {:.0f} GFLOP/s, by models and optimizers while slots were busy",
                  100 * utilisation.of_fp32_peak, utilisation.core_peak_gflops);
  if (utilisation.idle_seconds) {
    text += fmt::format(" ({:.0f}% of the time)",
                        100 * utilisation.slot_seconds / (utilisation.slot_seconds + *utilisation.idle_seconds));
  }
  if (utilisation.parts.empty()) return text;
  text += "; that time went into ";
  for (size_t i = 0; i < utilisation.parts.size(); ++i) {
    text += fmt::format("{}{} {:.0f}%", i == 0 ? "" : ", ", utilisation.parts[i].text,
                        100 * utilisation.parts[i].seconds / utilisation.slot_seconds);
  }
  return text;
}

}  // namespace flywheel::report
