#include "cli/plan_source.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file_system.h"
#include "campaign/points.h"
#include "ledger/ledger.h"
#include "scaling/tables/sweep_table.h"

namespace flywheel::cli {
namespace {

constexpr size_t kFewestRuns = 3;

void finish(PlanSource& source) {
  if (source.points.size() < kFewestRuns)
    throw_bad_input("{}: {} finished runs of different size or length, expected at least {} to plan from", source.name,
                    source.points.size(), kFewestRuns);
  source.lowest_flops = INFINITY;
  for (const scaling::Point& p : source.points) {
    const double flops = p.C > 0 ? p.C : 6 * p.N * p.D;
    source.lowest_flops = std::min(source.lowest_flops, flops);
    source.highest_flops = std::max(source.highest_flops, flops);
    source.highest_ratio = std::max(source.highest_ratio, p.D / p.N);
  }
}

}  // namespace

PlanSource plan_source_from_csv(const std::string& path) {
  if (!std::filesystem::is_regular_file(path)) throw_bad_input("{}: no such file; expected a CSV of runs", path);
  PlanSource source;
  source.name = path;
  source.unit = "in the unit of the runs' loss column";
  const std::string text = real_file_system().read(path);
  const scaling::RunsTable table = scaling::parse_runs(text, path);
  source.sweep = scaling::parse_sweep(text, path, table);
  source.points = source.sweep.empty() ? table.points : scaling::best_of_each(source.sweep, table);
  finish(source);
  return source;
}

PlanSource plan_source_from_lab(const std::string& path) {
  if (!std::filesystem::is_directory(path))
    throw_bad_input("{}: no such lab; expected the folder of a `flywheel run --dir`", path);
  const Path lab = std::filesystem::absolute(path).lexically_normal();
  const auto ledger = ledger::Ledger::open_read_only(lab);
  PlanSource source;
  source.name = path;
  source.unit = "bits per byte";
  source.points = campaign::ladder_points(*ledger, INFINITY);
  if (const auto record = ledger->last("recipe"))
    source.recipe = recipe::recipe_from_json(record->payload.at("recipe"), "ledger: recipe");
  std::vector<double> rates;
  for (const ledger::RunRow& row : ledger->runs())
    if (row.state == "done" && row.seconds > 0) rates.push_back(row.spent_flops / row.seconds);
  if (!rates.empty()) {
    std::nth_element(rates.begin(), rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2), rates.end());
    source.flops_per_second = rates[rates.size() / 2];
  }
  finish(source);
  return source;
}

}  // namespace flywheel::cli
