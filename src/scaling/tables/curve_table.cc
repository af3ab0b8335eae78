#include "scaling/tables/curve_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "base/csv.h"
#include "base/error.h"

namespace flywheel::scaling {
namespace {

enum CurveColumn : size_t { kRun, kStep, kRate, kLoss, kSize, kBatch, kTokens, kCurveColumns };
struct CurveColumnNames {
  const char* shown;
  std::vector<std::string_view> aliases;  // letters and digits only, lower case
};
const std::array<CurveColumnNames, kCurveColumns>& curve_columns() {
  static const std::array<CurveColumnNames, kCurveColumns> names = {{
      {"run", {"run", "name", "curve", "id"}},
      {"step", {"step", "steps", "iteration", "iter"}},
      {"lr", {"lr", "learningrate", "rate"}},
      {"loss", {"loss", "valloss", "validationloss", "evalloss", "l"}},
      {"N", {"n", "params", "parameters", "modelsize"}},
      {"tokens_per_step", {"tokensperstep", "batchtokens", "tokensperbatch"}},
      {"tokens", {"tokens", "d"}},
  }};
  return names;
}

std::array<int, kCurveColumns> find_columns(const CsvReader& table, const std::string& where) {
  std::array<int, kCurveColumns> at{};
  at.fill(-1);
  for (size_t c = 0; c < table.names().size(); ++c) {
    const std::string name = plain_column_name(table.names()[c]);
    for (size_t k = 0; k < kCurveColumns; ++k) {
      const auto& aliases = curve_columns()[k].aliases;
      if (std::find(aliases.begin(), aliases.end(), name) == aliases.end()) continue;
      if (at[k] >= 0)
        throw_bad_input("{}: line {}: columns {} and {} both look like {}; keep one", where, table.header_line(),
                        at[k] + 1, c + 1, curve_columns()[k].shown);
      at[k] = static_cast<int>(c);
    }
  }
  return at;
}

double number_of(const CsvReader& row, int at, CurveColumn column, bool zero_allowed) {
  const std::string_view cell = row.cell_or_empty(at);
  const std::optional<double> value = number_in_cell(cell);
  if (!value || *value < 0 || (*value == 0 && !zero_allowed))
    row.fail(curve_columns()[column].shown,
             fmt::format("expected a number {}, found \"{}\"", zero_allowed ? "of 0 or more" : "above 0", cell));
  return *value;
}

}  // namespace

std::vector<Curve> parse_curves(std::string_view text, const std::string& where, bool loss_required) {
  CsvReader table(text, where);
  if (!table.has_header())
    throw_bad_input("{}: the file is empty, expected a header (run, step, lr, loss) and rows", where);
  const std::array<int, kCurveColumns> at = find_columns(table, where);
  for (const CurveColumn needed : {kRun, kStep, kRate, kLoss})
    if (at[needed] < 0 && (needed != kLoss || loss_required))
      throw_bad_input("{}: line {}: column {} is missing; expected a header with run, step, lr and loss, found \"{}\"",
                      where, table.header_line(), curve_columns()[needed].shown, table.header_text());
  std::vector<Curve> curves;
  std::map<std::string, size_t, std::less<>> by_name;
  bool any_loss = false;
  const auto number = [&](CurveColumn column, bool zero_allowed) {
    return number_of(table, at[column], column, zero_allowed);
  };
  while (table.next()) {
    table.check_width();
    const auto cell = [&](CurveColumn column) { return table.cell_or_empty(at[column]); };
    const int line_number = table.line();
    const std::string_view name = cell(kRun);
    if (name.empty()) throw_bad_input("{}: line {}: column run is empty", where, line_number);
    const auto [found, added] = by_name.try_emplace(std::string(name), curves.size());
    if (added) curves.emplace_back().name = name;
    Curve& curve = curves[found->second];
    const double step = number(kStep, true);
    if (!curve.rates.empty() && step <= curve.rates.back().step)
      throw_bad_input("{}: line {}: run \"{}\": step {} comes after step {}; expected rising steps", where, line_number,
                      name, step, curve.rates.back().step);
    curve.rates.push_back({step, number(kRate, true)});
    if (!cell(kLoss).empty() && step > 0) {
      curve.losses.push_back({step, number(kLoss, false)});
      any_loss = true;
    }
    if (at[kSize] >= 0) {
      const double size = number(kSize, false);
      if (!added && size != curve.N)
        throw_bad_input("{}: line {}: run \"{}\": N is {}, before it was {}; expected one size a run", where,
                        line_number, name, size, curve.N);
      curve.N = size;
    }
    if (at[kBatch] >= 0)
      curve.tokens_per_step = number(kBatch, false);
    else if (at[kTokens] >= 0 && step > 0)
      curve.tokens_per_step = number(kTokens, false) / step;
  }
  if (curves.empty()) throw_bad_input("{}: a header but no rows, expected one step of a run a line", where);
  if (loss_required && !any_loss) throw_bad_input("{}: no row has a loss", where);
  for (const Curve& curve : curves)
    if (std::all_of(curve.rates.begin(), curve.rates.end(), [](const RatePoint& r) { return r.rate == 0; }))
      throw_bad_input("{}: run \"{}\": the learning rate is zero throughout", where, curve.name);
  return curves;
}

}  // namespace flywheel::scaling
