#include "scaling/tables/curve_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/table/column_choice.h"
#include "base/table/column_names.h"
#include "base/table/table_text.h"

namespace flywheel::scaling {
namespace {

enum CurveColumn : size_t { kRun, kStep, kRate, kLoss, kSize, kBatch, kTokens, kCurveColumns };

const std::array<WantedColumn, kCurveColumns>& curve_columns() {
  static const std::array<WantedColumn, kCurveColumns> columns = {{
      {"run", "run", {"run", "name", "curve", "id", "runid", "runname"}, {}, false},
      {"step", "step", {"step", "steps", "iteration", "iter", "globalstep", "trainerglobalstep"}, {}, false},
      {"lr", "lr", {"lr", "learningrate", "rate"}, {"trainlr", "trainlearningrate", "optlr"}, false},
      {"L",
       "loss",
       {"loss", "valloss", "validationloss", "evalloss", "l", "bitsperbyte", "bpb", "valbpb"},
       {"trainloss", "trainingloss"},
       false},
      {"N", "N", {"n", "params", "parameters", "modelsize", "nparams", "numparams"}, {"totalparams"}, true},
      {"tokens_per_step", "tokens_per_step", {"tokensperstep", "batchtokens", "tokensperbatch"}, {}, true},
      {"D", "tokens", {"tokens", "d", "tokensseen", "traintokens", "numinputtokensseen"}, {}, true},
  }};
  return columns;
}

std::array<FoundColumn, kCurveColumns> find_curve_columns(const Table& table, bool loss_required) {
  std::array<FoundColumn, kCurveColumns> at;
  for (size_t k = 0; k < kCurveColumns; ++k) {
    const WantedColumn& wanted = curve_columns()[k];
    at[k] = find_column(table, wanted);
    if (at[k].also >= 0)
      throw_bad_input("{}: line {}: columns {} and {} both look like {}; keep one, or say which: --columns {}",
                      table.where(), table.header_line(), at[k].column + 1, at[k].also + 1, wanted.means,
                      choice_of(wanted.symbol, table.name(static_cast<size_t>(at[k].column))));
  }
  for (const CurveColumn needed : {kRun, kStep, kRate, kLoss}) {
    const WantedColumn& wanted = curve_columns()[needed];
    if (at[needed].column >= 0 || (needed == kLoss && !loss_required)) continue;
    const std::vector<std::string> near =
        needed == kRun ? std::vector<std::string>{} : candidates(table, wanted, {wanted.names.front()});
    throw_bad_input(
        "{}: line {}: column {} is missing; expected a header with run, step, lr and loss, found \"{}\"; {}",
        table.where(), table.header_line(), wanted.means, table.header_text(),
        near.empty()
            ? fmt::format("say which it is with --columns {}=..", wanted.symbol)
            : fmt::format("{} may be it: --columns {}", fmt::join(near, ", "), choice_of(wanted.symbol, near.front())));
  }
  return at;
}

double number_of(const Table& table, size_t row, const FoundColumn& at, CurveColumn column, bool zero_allowed) {
  const std::optional<double> value = value_in_ones(table, row, at);
  if (!value || *value < 0 || (*value == 0 && !zero_allowed))
    table.fail(row, curve_columns()[column].means,
               fmt::format("expected a number {}, found \"{}\"", zero_allowed ? "of 0 or more" : "above 0",
                           shown_cell(table.cell_or_empty(row, at.column))));
  return *value;
}

}  // namespace

std::vector<Curve> parse_curves(std::string_view bytes, const std::string& where, bool loss_required,
                                const std::vector<std::string>& columns) {
  Table table = Table::read(bytes, where);
  choose_columns(table, columns, {"run", "step", "lr", "L", "N", "tokens_per_step", "D"});
  const std::array<FoundColumn, kCurveColumns> at = find_curve_columns(table, loss_required);
  table.check_rows();
  std::vector<Curve> curves;
  std::map<std::string, size_t, std::less<>> by_name;
  bool any_loss = false;
  for (size_t row = 0; row < table.rows(); ++row) {
    const auto number = [&](CurveColumn column, bool zero_allowed) {
      return number_of(table, row, at[column], column, zero_allowed);
    };
    const auto cell = [&](CurveColumn column) { return table.cell_or_empty(row, at[column].column); };
    const int line_number = table.line(row);
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
    if (at[kSize].column >= 0) {
      const double size = number(kSize, false);
      if (!added && size != curve.N)
        throw_bad_input("{}: line {}: run \"{}\": N is {}, before it was {}; expected one size a run", where,
                        line_number, name, size, curve.N);
      curve.N = size;
    }
    if (at[kBatch].column >= 0)
      curve.tokens_per_step = number(kBatch, false);
    else if (at[kTokens].column >= 0 && step > 0)
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
