#include "base/csv.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace flywheel {
namespace {

constexpr std::string_view kBlanks = " \t\r\f\v";

void trim(std::string& cell) {
  const size_t last = cell.find_last_not_of(" \t\r\n\f\v");
  cell.erase(last == std::string::npos ? 0 : last + 1);
  cell.erase(0, std::min(cell.find_first_not_of(" \t\r\n\f\v"), cell.size()));
}

char separator_of(std::string_view line, std::string_view candidates) {
  for (const char candidate : candidates) {
    bool quoted = false;
    for (const char c : line) {
      if (c == '"') quoted = !quoted;
      if (c == candidate && !quoted) return candidate;
    }
  }
  return candidates.front();
}

}  // namespace

CsvReader::CsvReader(std::string_view text, std::string where, const CsvOptions& options)
    : text_(text), where_(std::move(where)), tells_damage_(options.tells_damage) {
  if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  while (!text_.empty()) {
    const std::string_view line = rest_line();
    const size_t first = line.find_first_not_of(kBlanks);
    if (first != line.npos && line[first] != '#') {
      separator_ = separator_of(line, options.separators);
      break;
    }
    text_.remove_prefix(std::min(line.size() + 1, text_.size()));
    ++next_line_;
  }
  if (!read_row()) return;
  if (!damage_.empty()) throw_bad_input("{}: line {}: {}", where_, line_, damage_);
  names_ = cells_;
  header_line_ = line_;
  header_text_ = row_text_;
}

std::string_view CsvReader::rest_line() const {
  return text_.substr(0, text_.find('\n'));
}

bool CsvReader::next() {
  const bool found = read_row();
  if (found && !damage_.empty() && !tells_damage_) throw_bad_input("{}: line {}: {}", where_, line_, damage_);
  return found;
}

// As many cells as the header, and the first of them a number: what a note of several lines hardly ever looks like.
bool CsvReader::is_row_by_itself(std::string_view line) const {
  const auto separators = static_cast<size_t>(std::count(line.begin(), line.end(), separator_));
  if (names_.size() < 2 || separators + 1 != names_.size()) return false;
  std::string cell(line.substr(0, line.find(separator_)));
  trim(cell);
  return number_in_cell(cell).has_value();
}

bool CsvReader::read_row() {
  while (true) {
    if (text_.empty()) return false;
    const std::string_view line = rest_line();
    const size_t first = line.find_first_not_of(kBlanks);
    // A blank before the first cell's quote or a leading separator is the row's own.
    if (first != line.npos && line[first] != '#') break;
    if (first == line.npos && separator_ == '\t' && line.find('\t') != line.npos && !names_.empty()) break;
    text_.remove_prefix(std::min(line.size() + 1, text_.size()));
    ++next_line_;
  }
  line_ = next_line_;
  damage_.clear();
  const std::string_view first_line = rest_line();
  size_t used = 0, at = 0;
  bool more = true;
  while (more) {
    if (used == cells_.size()) cells_.emplace_back();
    std::string& cell = cells_[used++];
    cell.clear();
    size_t begin = at;
    while (begin < text_.size() && text_[begin] != separator_ && kBlanks.find(text_[begin]) != kBlanks.npos) ++begin;
    if (begin < text_.size() && text_[begin] == '"') {
      at = begin + 1;
      while (damage_.empty()) {
        if (at >= text_.size()) {
          damage_ = stray_quote(used, "nothing closes it");
          break;
        }
        const char c = text_[at++];
        if (c == '\n') {
          ++next_line_;
          const std::string_view next_line = text_.substr(at, text_.find('\n', at) - at);
          if (is_row_by_itself(next_line)) damage_ = stray_quote(used, "takes in a line that is a row by itself");
        }
        if (c != '"') {
          cell += c;
        } else if (at < text_.size() && text_[at] == '"') {
          cell += '"', ++at;
        } else {
          break;
        }
      }
    }
    if (!damage_.empty()) {
      at = first_line.size();
      next_line_ = line_;
      break;
    }
    const size_t end = std::min(text_.find_first_of(std::string{separator_, '\n'}, at), text_.size());
    cell.append(text_.substr(at, end - at));
    trim(cell);
    more = end < text_.size() && text_[end] == separator_;
    at = end + (more ? 1 : 0);
  }
  cells_.resize(used);
  row_text_ = text_.substr(0, at);
  row_text_ = row_text_.substr(std::min(row_text_.find_first_not_of(' '), row_text_.size()));
  while (!row_text_.empty() && (row_text_.back() == '\r' || row_text_.back() == ' ')) row_text_.remove_suffix(1);
  text_.remove_prefix(std::min(at + 1, text_.size()));
  ++next_line_;
  return true;
}

std::string CsvReader::stray_quote(size_t column, std::string_view what) const {
  return fmt::format("column {}: a quote opens this cell and {}; write \"\" for a quote inside a quoted cell",
                     column <= names_.size() ? names_[column - 1] : std::to_string(column), what);
}

std::string_view CsvReader::cell_or_empty(int column) const {
  return column < 0 ? std::string_view{} : cells_[static_cast<size_t>(column)];
}

void CsvReader::check_width() const {
  if (cells_.size() != names_.size())
    throw_bad_input("{}: line {}: expected {} cells as in the header, found {}", where_, line_, names_.size(),
                    cells_.size());
}

void CsvReader::fail(std::string_view column, std::string_view message) const {
  if (column.empty()) throw_bad_input("{}: line {}: {}", where_, line_, message);
  throw_bad_input("{}: line {}: column {}: {}", where_, line_, column, message);
}

std::string plain_column_name(std::string_view name, std::string_view also) {
  std::string letters;
  for (const char c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || also.find(c) != also.npos)
      letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return letters;
}

std::optional<double> number_in_cell(std::string_view cell) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace flywheel
