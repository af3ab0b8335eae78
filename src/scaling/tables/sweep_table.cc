#include "scaling/tables/sweep_table.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>

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

std::vector<std::string> split(std::string_view line) {
  const char separator = line.find(',') != line.npos ? ',' : line.find(';') != line.npos ? ';' : '\t';
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"')
      quoted = !quoted;
    else if (c == separator && !quoted)
      cells.emplace_back();
    else if (!std::isspace(static_cast<unsigned char>(c)))
      cells.back() += c;
  }
  return cells;
}

std::string plain(std::string_view name) {
  std::string letters;
  for (const char c : name)
    if (std::isalnum(static_cast<unsigned char>(c))) letters += static_cast<char>(std::tolower(c));
  return letters;
}

double number(const std::string& cell, const std::string& where, int line, const char* means) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value) || value <= 0)
    throw_bad_input("{}: line {}: {}: expected a number above 0, found \"{}\"", where, line, means, cell);
  return value;
}

}  // namespace

std::vector<SweepRun> parse_sweep(std::string_view text, const std::string& where, const RunsTable& table) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text = end == text.npos ? std::string_view{} : text.substr(end + 1);
  }
  std::array<int, 3> at = {-1, -1, -1};
  for (const std::string_view line : lines) {
    const std::vector<std::string> names = split(line);
    if (names.size() == 1 || names[0].starts_with("#")) continue;
    for (size_t c = 0; c < names.size(); ++c)
      for (size_t k = 0; k < at.size(); ++k) {
        const auto& known = wanted_columns()[k].names;
        if (std::find(known.begin(), known.end(), plain(names[c])) != known.end()) at[k] = static_cast<int>(c);
      }
    break;
  }
  if (at[0] < 0 && at[1] < 0) return {};
  std::vector<SweepRun> runs;
  for (size_t i = 0; i < table.points.size(); ++i) {
    const Point& p = table.points[i];
    SweepRun run{p.N, p.D, 0, 0, p.L};
    const std::vector<std::string> cells = split(lines[static_cast<size_t>(table.rows[i]) - 1]);
    for (size_t k = 0; k < at.size(); ++k)
      if (at[k] >= 0)
        run.*wanted_columns()[k].field =
            number(cells.at(static_cast<size_t>(at[k])), where, table.rows[i], wanted_columns()[k].means);
    runs.push_back(run);
  }
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
