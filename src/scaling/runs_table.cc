#include "scaling/runs_table.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/error.h"

namespace flywheel::scaling {
namespace {

struct Column {
  char symbol;
  const char* means;
  std::vector<std::string_view> aliases;  // lower case, letters and digits only
};

const std::array<Column, 4>& columns() {
  static const std::array<Column, 4> table = {{
      {'N', "parameters", {"n", "params", "parameters", "modelsize", "nparams", "numparams", "numparameters", "size"}},
      {'D', "training tokens", {"d", "tokens", "trainingtokens", "traintokens", "ntokens", "numtokens"}},
      {'L',
       "loss",
       {"l", "loss", "valloss", "validationloss", "evalloss", "finalloss", "testloss", "bpb", "bitsperbyte"}},
      {'C', "FLOPs", {"c", "flops", "trainingflops", "trainflops", "compute", "flop"}},
  }};
  return table;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') return trim(text.substr(1, text.size() - 2));
  return text;
}

std::vector<std::string_view> split(std::string_view line, char separator) {
  std::vector<std::string_view> cells;
  bool quoted = false;
  size_t start = 0;
  for (size_t i = 0; i <= line.size(); ++i) {
    if (i < line.size() && line[i] == '"') quoted = !quoted;
    if (i == line.size() || (line[i] == separator && !quoted)) {
      cells.push_back(trim(line.substr(start, i - start)));
      start = i + 1;
    }
  }
  return cells;
}

std::string plain(std::string_view name) {
  std::string letters;
  for (const char c : name)
    if (std::isalnum(static_cast<unsigned char>(c)))
      letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return letters;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  const std::string_view suffix = trim(text.substr(static_cast<size_t>(end - text.data())));
  if (suffix.empty()) return value;
  if (suffix.size() != 1) return std::nullopt;
  switch (suffix[0]) {
    case 'k':
    case 'K':
      return value * 1e3;
    case 'm':
    case 'M':
      return value * 1e6;
    case 'b':
    case 'B':
    case 'g':
    case 'G':
      return value * 1e9;
    case 't':
    case 'T':
      return value * 1e12;
    default:
      return std::nullopt;
  }
}

}  // namespace

RunsTable parse_runs(std::string_view text, const std::string& where, bool loss_required) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  RunsTable table;
  std::array<int, 4> at = {-1, -1, -1, -1};
  size_t header_cells = 0;
  char separator = ',';
  int line_number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    ++line_number;
    line = trim(line);
    if (line.empty() || line.front() == '#') continue;
    if (header_cells == 0) {
      if (line.find(',') == std::string_view::npos) {
        if (line.find(';') != std::string_view::npos)
          separator = ';';
        else if (line.find('\t') != std::string_view::npos)
          separator = '\t';
      }
      const std::vector<std::string_view> names = split(line, separator);
      header_cells = names.size();
      for (size_t c = 0; c < names.size(); ++c)
        for (size_t k = 0; k < columns().size(); ++k)
          if (const auto& aliases = columns()[k].aliases;
              std::find(aliases.begin(), aliases.end(), plain(names[c])) != aliases.end()) {
            if (at[k] >= 0)
              throw_bad_input("{}: line {}: columns {} and {} both look like {} ({}); keep one", where, line_number,
                              at[k] + 1, c + 1, columns()[k].symbol, columns()[k].means);
            at[k] = static_cast<int>(c);
          }
      if ((at[0] < 0) + (at[1] < 0) + (at[3] < 0) > 1)
        throw_bad_input("{}: line {}: expected a header with two of N (params), D (tokens) and C (flops), found \"{}\"",
                        where, line_number, line);
      table.has_loss = at[2] >= 0;
      if (loss_required && !table.has_loss)
        throw_bad_input("{}: line {}: expected a loss column (L, loss, val_loss, bpb), found \"{}\"", where,
                        line_number, line);
      continue;
    }
    const std::vector<std::string_view> cells = split(line, separator);
    if (cells.size() != header_cells)
      throw_bad_input("{}: line {}: expected {} cells as in the header, found {}", where, line_number, header_cells,
                      cells.size());
    std::array<double, 4> values{};
    for (size_t k = 0; k < columns().size(); ++k) {
      if (at[k] < 0 || (columns()[k].symbol == 'L' && !loss_required)) continue;
      const std::string_view cell = cells[static_cast<size_t>(at[k])];
      const std::optional<double> value = parse_number(cell);
      if (!value || !std::isfinite(*value) || *value <= 0)
        throw_bad_input("{}: line {}: column {} ({}): expected a number above 0, found \"{}\"", where, line_number,
                        columns()[k].symbol, columns()[k].means, cell);
      values[k] = *value;
    }
    Point point{values[0], values[1], values[2], values[3]};
    if (point.N == 0) point.N = point.C / (6 * point.D);
    if (point.D == 0) point.D = point.C / (6 * point.N);
    if (loss_required && point.L > 1000)
      throw_bad_input("{}: line {}: column L is {}, which is no loss per token; are columns swapped?", where,
                      line_number, point.L);
    table.points.push_back(point);
    table.rows.push_back(line_number);
  }
  if (header_cells == 0) throw_bad_input("{}: the file is empty, expected a header line and one run a line", where);
  if (table.points.empty()) throw_bad_input("{}: a header but no runs, expected one run a line", where);
  return table;
}

}  // namespace flywheel::scaling
