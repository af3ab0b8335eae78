#include "cli/run_curves.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/train/schedule.h"
#include "protocol/run_events.h"
#include "recipe/run_spec.h"

namespace flywheel::cli {
namespace {

using scaling::Curve;
using scaling::LossPoint;
using scaling::RatePoint;

std::vector<RatePoint> planned_rates(const recipe::RunSpec& spec) {
  std::vector<RatePoint> rates;
  for (int64_t step = 0; step < spec.size.steps; ++step)
    rates.push_back(
        {static_cast<double>(step + 1),
         spec.size.matrix_learning_rate * train::learning_rate_share(spec.recipe.schedule, spec.size, step)});
  return rates;
}

bool agree(const std::vector<RatePoint>& planned, const std::vector<RatePoint>& logged) {
  double peak = 0;
  for (const RatePoint& r : planned) peak = std::max(peak, r.rate);
  for (const RatePoint& r : logged) {
    const auto at = static_cast<size_t>(r.step) - 1;
    if (at >= planned.size() || std::abs(planned[at].rate - r.rate) > 0.01 * peak) return false;
  }
  return true;
}

Curve read_run(const Path& directory) {
  const Path path = directory / protocol::kEventsFile;
  Curve curve;
  curve.name = directory.filename().string();
  std::string split;
  protocol::EventTail tail(path);
  for (const protocol::RunEvent& event : tail.poll()) {
    const std::string where = fmt::format("{} ({} event)", path.string(), event.type);
    if (event.type == "start") {
      curve.N = json_field_or(event.fields, "matrix_parameters", 0.0, where);
      const int64_t resumed = protocol::resumed_step(event);
      protocol::rewind_to(curve.rates, resumed);
      protocol::rewind_to(curve.losses, resumed);
    } else if (event.type == "step" || event.type == "eval") {
      const double step = json_field<double>(event.fields, "step", where);
      if (event.type == "step") {
        if (step >= 1) curve.rates.push_back({step, json_field<double>(event.fields, "learning_rate", where)});
        continue;
      }
      const auto on = json_field<std::string>(event.fields, "split", where);
      if (split.empty()) split = on;
      // Evaluations of an earlier version of the program, on other text, are no part of this curve.
      const auto list = json_field_or(event.fields, "segments", std::string(), where);
      if (list != curve.text) curve.losses.clear();
      curve.text = list;
      const bool later = curve.losses.empty() || step > curve.losses.back().step;
      if (on != split || step < 1 || !later) continue;
      curve.losses.push_back({step, json_field<double>(event.fields, "bits_per_byte", where)});
      curve.tokens_per_step = std::round(json_field<double>(event.fields, "tokens", where) / step);
    }
  }
  if (std::filesystem::is_regular_file(directory / protocol::kSpecFile)) {
    const std::vector<RatePoint> planned = planned_rates(recipe::load_run_spec(directory / protocol::kSpecFile));
    if (agree(planned, curve.rates)) curve.rates = planned;
  }
  return curve;
}

}  // namespace

std::vector<Curve> read_run_curves(const Path& folder) {
  std::vector<Path> directories;
  if (std::filesystem::is_regular_file(folder / protocol::kEventsFile)) directories.push_back(folder);
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_directory() && std::filesystem::is_regular_file(entry.path() / protocol::kEventsFile))
      directories.push_back(entry.path());
  std::sort(directories.begin(), directories.end());
  std::vector<Curve> curves;
  for (const Path& directory : directories) {
    Curve curve = read_run(directory);
    if (!curve.rates.empty() && !curve.losses.empty()) curves.push_back(std::move(curve));
  }
  if (curves.empty())
    throw_bad_input("{}: no run directories with evaluations; expected folders that hold {} (flywheel train --dir)",
                    folder.string(), protocol::kEventsFile);
  if (const auto others = scaling::leave_one_text(curves); !others.empty())
    log_warning("left out, as scored on other text than most: {}", fmt::join(others, ", "));
  return curves;
}

}  // namespace flywheel::cli
