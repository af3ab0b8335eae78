#include "cli/plan_source.h"

#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "base/statistics.h"
#include "base/table/column_choice.h"
#include "campaign/points.h"
#include "cli/table_file.h"
#include "ledger/ledger.h"
#include "recipe/size.h"
#include "scaling/fit/fit_input.h"
#include "scaling/fit/group_suggestion.h"
#include "scaling/tables/other_units.h"
#include "scaling/tables/sweep_table.h"

namespace flywheel::cli {

PlanSource plan_source_from_table(const PlanTable& wanted) {
  const std::string name = table_name(wanted.path);
  PlanSource source;
  source.unit = "in the unit of the runs' loss column";
  Table table = Table::read(read_table_file(wanted.path), name);
  choose_columns(table, wanted.columns, scaling::run_quantities());
  if (scaling::is_group_column(table, wanted.group))
    throw_bad_input("--group {}: a plan is of one law; expected COLUMN=VALUE, such as --group dataset=c4",
                    wanted.group);
  scaling::TableOptions options;
  options.group = wanted.group;
  options.checkpoints = wanted.checkpoints;
  scaling::RunsTable runs = scaling::parse_runs(table, options);
  const std::vector<std::string> groups =
      wanted.group.empty() ? scaling::group_suggestions(table, runs) : std::vector<std::string>{};
  scaling::leave_out_other_units(runs);
  scaling::drop_highest(runs, wanted.drop_highest, name);
  std::vector<scaling::SweepRun> sweep = scaling::parse_sweep(table, runs);
  std::vector<scaling::Point> points = sweep.empty() ? runs.points : scaling::best_of_each(sweep, runs);
  source.runs = scaling::plan_runs(name, std::move(points), std::move(sweep));
  source.runs.warnings = runs.warnings;
  for (const std::string& said : groups) source.runs.notes.push_back(said);
  for (std::string& said : scaling::columns_in_other_units(runs)) source.runs.notes.push_back(std::move(said));
  return source;
}

PlanSource plan_source_from_lab(const std::string& path) {
  if (!std::filesystem::is_directory(path))
    throw_bad_input("{}: no such lab; expected the folder of a `flywheel run --dir`", path);
  const Path lab = std::filesystem::absolute(path).lexically_normal();
  const auto ledger = ledger::Ledger::open_read_only(lab);
  PlanSource source;
  source.unit = "bits per byte";
  if (const auto record = ledger->last<ledger::RecipeRecord>())
    source.recipe =
        recipe::recipe_from_json(parse_json(record->value.configuration, "ledger: recipe"), "ledger: recipe");
  std::vector<double> rates;
  for (const ledger::RunRow& row : ledger->runs())
    if (row.state == protocol::RunState::kDone && row.seconds > 0) rates.push_back(row.spent_flops / row.seconds);
  if (!rates.empty()) source.flops_per_second = upper_median(std::move(rates));
  source.runs = scaling::plan_runs(path, campaign::ladder_points(*ledger, INFINITY), {});
  return source;
}

std::vector<report::RecipeSize> recipe_sizes(const PlanSource& source, const scaling::PlanResult& result) {
  std::vector<report::RecipeSize> sizes;
  if (!source.recipe) return sizes;
  const recipe::Recipe& own = *source.recipe;
  for (const scaling::Plan& plan : result.plans) {
    const recipe::Size size =
        recipe::with_flops(own, recipe::nearest_size(own, plan.allocation.N.value), plan.allocation.flops);
    const auto N = static_cast<double>(count(own, size).matrix_parameters);
    const auto D = static_cast<double>(size.tokens());
    sizes.push_back({.layers = size.layers,
                     .width = size.width,
                     .heads = size.heads,
                     .feed_forward = size.feed_forward,
                     .context = size.context,
                     .parameters = N,
                     .batch_sequences = size.batch_sequences,
                     .steps = size.steps,
                     .tokens = D,
                     .flops = recipe::training_flops(own, size),
                     .matrix_learning_rate = size.matrix_learning_rate,
                     .head_learning_rate = size.head_learning_rate,
                     .loss = result.forecaster.predict(N, D, result.forecaster.typical_aspect(N)).loss});
  }
  return sizes;
}

}  // namespace flywheel::cli
