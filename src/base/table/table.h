// Tables as people bring them, as named columns of cells: the one reader behind every command that takes a table. From
// bytes, so that whoever has a file, a pipe or a fuzzer calls the same function. Pure.
//
// Read are: text with commas, semicolons, tabs or bars between cells, found from the header (RFC 4180 and what
// base/csv.h says); JSON, one object a line or an array of objects, keys of nested ones joined by dots; encodings and
// line ends as table_text.h says; numbers as table_number.h says.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/table/table_number.h"

namespace flywheel {

// Owns its text. Reading is thread safe.
class Table {
 public:
  // Throws kBadInput naming `where` and the line for bytes that are no table: nothing but blank lines, a binary file,
  // more than kMostColumns columns, more damaged rows than kMostDamaged.
  static Table read(std::string_view bytes, const std::string& where);
  static constexpr size_t kMostColumns = 10'000, kMostDamaged = 200;

  const std::string& where() const { return where_; }
  size_t columns() const { return columns_.size(); }
  size_t rows() const { return rows_.size(); }
  const std::string& name(size_t column) const { return columns_[column].name; }
  std::vector<std::string> names() const;
  int header_line() const { return header_line_; }
  std::string header_text() const;  // for messages, cut where it is long

  // Without blanks around it; empty where the row has none. Lives as long as the table does unchanged.
  std::string_view cell(size_t row, size_t column) const;
  // The cell of a column that may be missing (below 0), then empty.
  std::string_view cell_or_empty(size_t row, int column) const;
  int line(size_t row) const { return rows_[row].line; }  // where the row begins; the first line is 1
  // Why the row cannot be read (its quotes, the number of its cells, its JSON); empty: it can.
  const std::string& damage(size_t row) const { return rows_[row].damage; }
  void check_rows() const;  // throws kBadInput for the first damaged row

  // The finite number that is the whole cell.
  std::optional<CellNumber> number(size_t row, size_t column) const;

  // Throws kBadInput "WHERE: line N: column NAME: MESSAGE".
  [[noreturn]] void fail(size_t row, std::string_view column, std::string_view message) const;

  // A column that the user chose (column_choice.h): it stands for what its name says, before any column that looks like
  // it. `made_of`: the header's name that it copies, or the expression.
  void choose(const std::string& name, const std::string& made_of, const std::vector<std::string>& cells);
  void choose_copy(const std::string& name, size_t column);
  bool is_chosen(size_t column) const { return !columns_[column].made_of.empty(); }
  bool is_copy(size_t column) const { return columns_[column].is_copy; }
  // The name that says what the numbers are: the header's own, also of a chosen column that copies it.
  const std::string& meaning(size_t column) const;

 private:
  struct Column {
    std::string name, made_of;
    Commas commas = Commas::kGroups;
    bool is_copy = false;
  };
  struct Row {
    int line = 0;
    size_t first = 0;  // of its cells, in ends_
    size_t cells = 0;
    std::string damage;
  };
  void read_separated(std::string_view text);
  void read_objects(std::string_view text);
  void add_row(int line, const std::vector<std::string>& cells, std::string damage);
  void judge_commas(bool commas_are_decimals);

  std::string where_;
  int header_line_ = 1;
  std::string header_text_;
  std::vector<Column> columns_;
  std::vector<Row> rows_;
  std::string text_;                              // of all cells, one after the other
  std::vector<size_t> begins_;                    // of each cell, and the end of the last
  std::vector<std::vector<std::string>> chosen_;  // cells of the last columns
  size_t damaged_ = 0;
};

}  // namespace flywheel
