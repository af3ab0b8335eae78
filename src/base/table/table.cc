#include "base/table/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/csv.h"
#include "base/error.h"
#include "base/json_reader.h"
#include "base/table/table_text.h"

namespace flywheel {
namespace {

constexpr std::string_view kSeparators = "\t;,|";
constexpr size_t kLongestHeaderShown = 200;

// The cells of a line by a separator, quotes seen.
size_t cells_of(std::string_view line, char separator) {
  size_t cells = 1;
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') quoted = !quoted;
    cells += c == separator && !quoted;
  }
  return cells;
}

bool is_row(std::string_view line) {
  const size_t first = line.find_first_not_of(" \t\f\v");
  return first != line.npos && line[first] != '#';
}

// The separator that stands in the header and divides the lines below it into as many cells; of several the one that
// makes the most cells.
char separator_of(std::string_view text) {
  constexpr size_t kLines = 20;
  std::vector<std::string_view> lines;
  while (!text.empty() && lines.size() < kLines) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (is_row(line)) lines.push_back(line);
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  char best = ',';
  size_t most_agree = 0, most_cells = 1;
  for (const char candidate : kSeparators) {
    const size_t cells = lines.empty() ? 1 : cells_of(lines.front(), candidate);
    if (cells < 2) continue;
    const auto agree = static_cast<size_t>(std::count_if(
        lines.begin(), lines.end(), [&](std::string_view line) { return cells_of(line, candidate) == cells; }));
    if (agree < most_agree || (agree == most_agree && cells <= most_cells)) continue;
    best = candidate, most_agree = agree, most_cells = cells;
  }
  return best;
}

struct ObjectText {
  std::string text;
  int line = 0;
};

// Cuts a text into its objects, which may stand one a line, over several, or in a list. NaN and Infinity, which some
// writers leave bare, become text. What is between objects and is no comma, bracket or blank goes with the next one, so
// that it is refused there.
class Objects {
 public:
  explicit Objects(std::string_view text) : text_(text) {
    const size_t first = text_.find_first_not_of(" \t\n");
    in_list_ = first != text_.npos && text_[first] == '[';
    if (in_list_) skip(first + 1);
  }

  bool next(ObjectText& object) {
    object.text.clear();
    size_t at = 0, depth = 0;
    bool quoted = false;
    for (; at < text_.size(); ++at) {
      const char c = text_[at];
      if (object.text.empty()) {
        if (c == ' ' || c == '\t' || c == '\n' || (in_list_ && (c == ',' || c == ']'))) {
          line_ += c == '\n';
          continue;
        }
        object.line = line_;
      }
      line_ += c == '\n';
      if (quoted) {
        object.text += c;
        if (c == '\\' && at + 1 < text_.size()) object.text += text_[++at];
        quoted = c != '"';
        // A line of its own begins an object where the one before was cut short.
        if (c != '\n') continue;
        break;
      }
      if (take_bare_number(object.text, at)) continue;
      object.text += c;
      quoted = c == '"';
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && depth > 0 && --depth == 0) {
        ++at;
        break;
      }
      if (depth == 0 && c == '\n') break;
      if (c == '\n' && !in_list_ && at + 1 < text_.size() && text_[at + 1] == '{' && depth == 1) break;
    }
    text_.remove_prefix(std::min(at, text_.size()));
    if (!text_.empty() && !object.text.empty() && object.text.back() == '\n') text_.remove_prefix(1);
    return !object.text.empty();
  }

 private:
  void skip(size_t bytes) {
    line_ += static_cast<int>(std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(bytes), '\n'));
    text_.remove_prefix(bytes);
  }
  bool take_bare_number(std::string& object, size_t& at) const {
    for (const std::string_view word : {"NaN", "-Infinity", "Infinity"})
      if (text_.substr(at, word.size()) == word) {
        object += fmt::format("\"{}\"", word);
        at += word.size() - 1;
        return true;
      }
    return false;
  }

  std::string_view text_;
  bool in_list_ = false;
  int line_ = 1;
};

}  // namespace

Table Table::read(std::string_view bytes, const std::string& where) {
  const std::string text = table_text(bytes, where);
  const size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string::npos)
    throw_bad_input("{}: the file is empty, expected a header line of column names and one run a line", where);
  Table table;
  table.where_ = where;
  table.begins_ = {0};
  if (text[first] == '{' || text[first] == '[')
    table.read_objects(text);
  else
    table.read_separated(text);
  return table;
}

void Table::read_separated(std::string_view text) {
  char separator = 0;
  // The line "sep=;" that spreadsheets write says it.
  const std::string_view first = text.substr(0, text.find('\n'));
  int lines_before = 0;
  if (first.size() == 5 && first.starts_with("sep=")) {
    separator = first[4];
    text.remove_prefix(std::min(first.size() + 1, text.size()));
    lines_before = 1;
  } else {
    separator = separator_of(text);
  }
  constexpr size_t kLongestHeader = 8 << 20;
  const std::string_view header = text.substr(0, std::min(text.find('\n'), kLongestHeader));
  if (static_cast<size_t>(std::count(header.begin(), header.end(), separator)) >= kMostColumns)
    throw_bad_input(
        "{}: line {}: the header has more than {} columns; expected a column for each quantity and one run "
        "a line",
        where_, lines_before + 1, kMostColumns);
  CsvReader reader(text, where_, {.separators = std::string_view(&separator, 1), .tells_damage = true});
  if (!reader.has_header())
    throw_bad_input("{}: the file is empty, expected a header line of column names and one run a line", where_);
  if (reader.names().size() > kMostColumns)
    throw_bad_input("{}: line {}: the header has {} columns, expected at most {}", where_, reader.header_line(),
                    reader.names().size(), kMostColumns);
  header_line_ = reader.header_line() + lines_before;
  header_text_ = reader.header_text();
  for (const std::string& name : reader.names())
    columns_.push_back({std::string(without_blanks(name)), "", Commas::kGroups, false});
  std::vector<std::string> cells;
  while (reader.next()) {
    std::string damage = reader.damage();
    cells = reader.cells();
    // What stands beyond the header and is empty is a separator at the end of a line.
    while (damage.empty() && cells.size() > columns_.size() && cells.back().empty()) cells.pop_back();
    if (damage.empty() && cells.size() != columns_.size())
      damage = fmt::format("expected {} cells as in the header, found {}", columns_.size(), cells.size());
    add_row(reader.line() + lines_before, cells, std::move(damage));
  }
  judge_commas(separator != ',');
}

void Table::read_objects(std::string_view text) {
  Objects objects(text);
  ObjectText object;
  std::unordered_map<std::string, size_t> known;
  std::vector<std::pair<std::string, std::string>> values;
  std::vector<std::string> cells;
  while (objects.next(object)) {
    values.clear(), cells.clear();
    std::string damage = flat_json(object.text, values);
    if (!damage.empty()) values.clear();
    for (auto& [name, value] : values) {
      const auto [at, fresh] = known.emplace(name, columns_.size());
      if (fresh) {
        columns_.push_back({name, "", Commas::kGroups, false});
        if (columns_.size() > kMostColumns)
          throw_bad_input("{}: line {}: the objects have more than {} different keys; expected one for each quantity",
                          where_, object.line, kMostColumns);
        if (header_text_.size() <= kLongestHeaderShown) header_text_ += (header_text_.empty() ? "" : ",") + name;
      }
      if (cells.size() <= at->second) cells.resize(at->second + 1);
      cells[at->second] = std::move(value);
    }
    if (rows_.empty()) header_line_ = object.line;
    add_row(object.line, cells, std::move(damage));
  }
  if (columns_.empty() && !rows_.empty())
    throw_bad_input("{}: line {}: {}; expected one JSON object a line, or a list of them", where_, rows_.front().line,
                    rows_.front().damage.empty() ? "the object is empty" : rows_.front().damage);
  if (columns_.empty()) throw_bad_input("{}: a JSON list without objects; expected one for each run", where_);
  judge_commas(false);
}

void Table::add_row(int line, const std::vector<std::string>& cells, std::string damage) {
  if (!damage.empty() && ++damaged_ > kMostDamaged)
    throw_bad_input("{}: more than {} rows cannot be read, the last at line {}: {}", where_, kMostDamaged, line,
                    damage);
  Row row{line, begins_.size() - 1, std::min(cells.size(), columns_.size()), std::move(damage)};
  for (size_t c = 0; c < row.cells; ++c) {
    text_ += without_blanks(cells[c]);
    begins_.push_back(text_.size());
  }
  rows_.push_back(std::move(row));
}

void Table::judge_commas(bool commas_are_decimals) {
  std::vector<CommaEvidence> evidence(columns_.size());
  for (size_t r = 0; r < rows_.size(); ++r)
    for (size_t c = 0; c < rows_[r].cells; ++c)
      if (const std::string_view text = cell(r, c); text.find_first_of(".,") != text.npos) evidence[c].add(text);
  CommaEvidence all;
  for (const CommaEvidence& one : evidence) all.add(one);
  for (size_t c = 0; c < columns_.size(); ++c)
    columns_[c].commas = (evidence[c].is_clear() ? evidence[c] : all).judge(commas_are_decimals);
}

std::vector<std::string> Table::names() const {
  std::vector<std::string> names;
  for (const Column& column : columns_) names.push_back(column.name);
  return names;
}

std::string Table::header_text() const {
  return shown_cell(header_text_, kLongestHeaderShown);
}

std::string_view Table::cell(size_t row, size_t column) const {
  if (const size_t own = columns_.size() - chosen_.size(); column >= own) return chosen_[column - own][row];
  const Row& r = rows_[row];
  if (column >= r.cells) return {};
  const size_t begin = begins_[r.first + column];
  return std::string_view(text_).substr(begin, begins_[r.first + column + 1] - begin);
}

std::string_view Table::cell_or_empty(size_t row, int column) const {
  return column < 0 ? std::string_view{} : cell(row, static_cast<size_t>(column));
}

void Table::check_rows() const {
  for (const Row& row : rows_)
    if (!row.damage.empty()) throw_bad_input("{}: line {}: {}", where_, row.line, row.damage);
}

std::optional<CellNumber> Table::number(size_t row, size_t column) const {
  return read_number(cell(row, column), columns_[column].commas);
}

void Table::fail(size_t row, std::string_view column, std::string_view message) const {
  throw_bad_input("{}: line {}: column {}: {}", where_, rows_[row].line, column, message);
}

void Table::choose(const std::string& name, const std::string& made_of, const std::vector<std::string>& cells) {
  columns_.push_back({name, made_of, Commas::kGroups, false});
  chosen_.push_back(cells);
}

void Table::choose_copy(const std::string& name, size_t column) {
  std::vector<std::string> cells;
  for (size_t r = 0; r < rows_.size(); ++r) cells.emplace_back(cell(r, column));
  choose(name, columns_[column].name, cells);
  columns_.back().commas = columns_[column].commas;
  columns_.back().is_copy = true;
}

const std::string& Table::meaning(size_t column) const {
  return is_chosen(column) ? columns_[column].made_of : columns_[column].name;
}

}  // namespace flywheel
