#include "scaling/tables/sweep_table.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <optional>

#include "base/table/column_names.h"
#include "base/table/table_text.h"

namespace flywheel::scaling {
namespace {

struct SweepColumn {
  double SweepRun::*field;
  WantedColumn wanted;
};

const std::array<SweepColumn, 3>& sweep_columns() {
  static const std::array<SweepColumn, 3> columns = {{
      {&SweepRun::learning_rate,
       {"lr", "learning rate", {"lr", "learningrate", "peaklr", "maxlr", "peaklearningrate"}, {}, false}},
      {&SweepRun::batch, {"batch", "batch size", {"bs", "batch", "batchsize"}, {}, false}},
      {&SweepRun::loss, {"", "smooth loss", {"smoothloss", "smoothedloss"}, {}, false}},
  }};
  return columns;
}

}  // namespace

std::vector<SweepRun> parse_sweep(const Table& table, const RunsTable& runs) {
  std::array<FoundColumn, 3> at;
  for (size_t k = 0; k < at.size(); ++k) at[k] = find_column(table, sweep_columns()[k].wanted);
  if (at[0].column < 0 && at[1].column < 0) return {};
  std::vector<SweepRun> sweep;
  for (size_t i = 0; i < runs.points.size(); ++i) {
    const Point& p = runs.points[i];
    const size_t row = runs.origins[i];
    SweepRun run{p.N, p.D, 0, 0, p.L};
    for (size_t k = 0; k < at.size(); ++k) {
      if (at[k].column < 0) continue;
      const std::optional<double> value = value_in_ones(table, row, at[k]);
      // A rate of 0 is no rate: the row keeps its loss and has no say in the rules.
      const bool is_rate = sweep_columns()[k].field != &SweepRun::loss;
      if (!value || *value < 0 || (*value == 0 && !is_rate))
        table.fail(row, table.name(static_cast<size_t>(at[k].column)),
                   fmt::format("{}: expected a number above 0, found \"{}\"", sweep_columns()[k].wanted.means,
                               shown_cell(table.cell_or_empty(row, at[k].column))));
      run.*sweep_columns()[k].field = *value;
    }
    sweep.push_back(run);
  }
  return sweep;
}

std::vector<SweepRun> parse_sweep(std::string_view bytes, const std::string& where, const RunsTable& runs) {
  return parse_sweep(Table::read(bytes, where), runs);
}

std::vector<Point> best_of_each(const std::vector<SweepRun>& runs, const RunsTable& table) {
  std::map<std::pair<double, double>, Point> best;
  for (size_t i = 0; i < runs.size(); ++i) {
    Point point = table.points[i];
    point.L = runs[i].loss;
    const auto [at, fresh] = best.try_emplace({point.N, point.D}, point);
    if (!fresh && point.L < at->second.L) at->second = point;
  }
  std::vector<Point> points;
  for (const auto& [key, point] : best) points.push_back(point);
  return points;
}

}  // namespace flywheel::scaling
