#include "scaling/tables/curve_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>

#include "base/error.h"

namespace flywheel::scaling {
namespace {

enum Column : size_t { kRun, kStep, kRate, kLoss, kSize, kBatch, kTokens, kColumns };
struct ColumnNames {
  const char* shown;
  std::vector<std::string_view> aliases;  // letters and digits only, lower case
};
const std::array<ColumnNames, kColumns>& columns() {
  static const std::array<ColumnNames, kColumns> names = {{
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

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '"'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> cells;
  while (true) {
    const size_t end = line.find(',');
    cells.push_back(trim(line.substr(0, end)));
    if (end == std::string_view::npos) return cells;
    line.remove_prefix(end + 1);
  }
}

std::array<int, kColumns> find_columns(std::string_view header, const std::string& where, int number) {
  std::array<int, kColumns> at{};
  at.fill(-1);
  const std::vector<std::string_view> cells = split(header);
  for (size_t c = 0; c < cells.size(); ++c) {
    std::string plain;
    for (const char letter : cells[c])
      if (std::isalnum(static_cast<unsigned char>(letter)))
        plain += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    for (size_t k = 0; k < kColumns; ++k) {
      const auto& aliases = columns()[k].aliases;
      if (std::find(aliases.begin(), aliases.end(), plain) == aliases.end()) continue;
      if (at[k] >= 0)
        throw_bad_input("{}: line {}: columns {} and {} both look like {}; keep one", where, number, at[k] + 1, c + 1,
                        columns()[k].shown);
      at[k] = static_cast<int>(c);
    }
  }
  return at;
}

double number_of(std::string_view cell, Column column, bool zero_allowed, const std::string& where, int line) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  const bool whole = error == std::errc() && end == cell.data() + cell.size();
  if (!whole || !std::isfinite(value) || value < 0 || (value == 0 && !zero_allowed))
    throw_bad_input("{}: line {}: column {}: expected a number {}, found \"{}\"", where, line, columns()[column].shown,
                    zero_allowed ? "of 0 or more" : "above 0", cell);
  return value;
}

}  // namespace

std::vector<Curve> parse_curves(std::string_view text, const std::string& where, bool loss_required) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::array<int, kColumns> at{};
  size_t width = 0;
  int line_number = 0;
  std::vector<Curve> curves;
  std::map<std::string, size_t, std::less<>> by_name;
  bool any_loss = false;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view raw = text.substr(0, end), line = trim(raw);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    ++line_number;
    if (line.empty() || line.front() == '#') continue;
    if (width == 0) {
      width = split(raw).size();
      at = find_columns(raw, where, line_number);
      for (const Column needed : {kRun, kStep, kRate, kLoss})
        if (at[needed] < 0 && (needed != kLoss || loss_required))
          throw_bad_input(
              "{}: line {}: column {} is missing; expected a header with run, step, lr and loss, found \"{}\"", where,
              line_number, columns()[needed].shown, line);
      continue;
    }
    const std::vector<std::string_view> cells = split(raw);
    if (cells.size() != width)
      throw_bad_input("{}: line {}: expected {} cells as in the header, found {}", where, line_number, width,
                      cells.size());
    const auto cell = [&](Column column) {
      return at[column] < 0 ? std::string_view{} : cells[static_cast<size_t>(at[column])];
    };
    const std::string_view name = cell(kRun);
    if (name.empty()) throw_bad_input("{}: line {}: column run is empty", where, line_number);
    const auto [found, added] = by_name.try_emplace(std::string(name), curves.size());
    if (added) curves.emplace_back().name = name;
    Curve& curve = curves[found->second];
    const double step = number_of(cell(kStep), kStep, true, where, line_number);
    if (!curve.rates.empty() && step <= curve.rates.back().step)
      throw_bad_input("{}: line {}: run \"{}\": step {} comes after step {}; expected rising steps", where, line_number,
                      name, step, curve.rates.back().step);
    curve.rates.push_back({step, number_of(cell(kRate), kRate, true, where, line_number)});
    if (!cell(kLoss).empty() && step > 0) {
      curve.losses.push_back({step, number_of(cell(kLoss), kLoss, false, where, line_number)});
      any_loss = true;
    }
    if (at[kSize] >= 0) {
      const double size = number_of(cell(kSize), kSize, false, where, line_number);
      if (!added && size != curve.N)
        throw_bad_input("{}: line {}: run \"{}\": N is {}, before it was {}; expected one size a run", where,
                        line_number, name, size, curve.N);
      curve.N = size;
    }
    if (at[kBatch] >= 0)
      curve.tokens_per_step = number_of(cell(kBatch), kBatch, false, where, line_number);
    else if (at[kTokens] >= 0 && step > 0)
      curve.tokens_per_step = number_of(cell(kTokens), kTokens, false, where, line_number) / step;
  }
  if (width == 0) throw_bad_input("{}: the file is empty, expected a header (run, step, lr, loss) and rows", where);
  if (curves.empty()) throw_bad_input("{}: a header but no rows, expected one step of a run a line", where);
  if (loss_required && !any_loss) throw_bad_input("{}: no row has a loss", where);
  for (const Curve& curve : curves)
    if (std::all_of(curve.rates.begin(), curve.rates.end(), [](const RatePoint& r) { return r.rate == 0; }))
      throw_bad_input("{}: run \"{}\": the learning rate is zero throughout", where, curve.name);
  return curves;
}

}  // namespace flywheel::scaling
