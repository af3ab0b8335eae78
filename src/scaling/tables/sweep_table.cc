#include "scaling/tables/sweep_table.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "base/check.h"
#include "base/csv.h"
#include "base/error.h"

namespace flywheel::scaling {
namespace {

struct Wanted {
  double SweepRun::*field;
  const char* means;
  std::vector<std::string_view> names;  // letters and digits only
};

const std::array<Wanted, 3>& wanted_columns() {
  static const std::array<Wanted, 3> columns = {{
      {&SweepRun::learning_rate, "learning rate", {"lr", "learningrate", "peaklr", "maxlr"}},
      {&SweepRun::batch, "batch size", {"bs", "batch", "batchsize"}},
      {&SweepRun::loss, "smooth loss", {"smoothloss", "smoothedloss"}},
  }};
  return columns;
}

}  // namespace

std::vector<SweepRun> parse_sweep(std::string_view text, const std::string& where, const RunsTable& table) {
  CsvReader reader(text, where, {.separators = kRunsSeparators, .tells_damage = true});
  std::array<int, 3> at = {-1, -1, -1};
  for (size_t c = 0; c < reader.names().size(); ++c)
    for (size_t k = 0; k < at.size(); ++k) {
      const auto& known = wanted_columns()[k].names;
      if (std::find(known.begin(), known.end(), plain_column_name(reader.names()[c])) != known.end())
        at[k] = static_cast<int>(c);
    }
  if (at[0] < 0 && at[1] < 0) return {};
  std::vector<SweepRun> runs;
  while (runs.size() < table.points.size() && reader.next()) {
    if (reader.line() != table.rows[runs.size()]) continue;  // a row that the table left out
    const Point& p = table.points[runs.size()];
    SweepRun run{p.N, p.D, 0, 0, p.L};
    for (size_t k = 0; k < at.size(); ++k) {
      if (at[k] < 0) continue;
      const std::string_view cell = reader.cell_or_empty(at[k]);
      const std::optional<double> value = number_in_cell(cell);
      // A rate of 0 is no rate: the row keeps its loss and has no say in the rules.
      const bool is_rate = wanted_columns()[k].field != &SweepRun::loss;
      if (!value || *value < 0 || (*value == 0 && !is_rate))
        throw_bad_input("{}: line {}: {}: expected a number above 0, found \"{}\"", where, reader.line(),
                        wanted_columns()[k].means, cell);
      run.*wanted_columns()[k].field = *value;
    }
    runs.push_back(run);
  }
  CHECK(runs.size() == table.points.size());
  return runs;
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
