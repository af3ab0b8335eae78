// Reads CSV tables (RFC 4180) whose first row names the columns. The only CSV reader, so that quotes, blank lines and
// comments mean the same in every table.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace flywheel {

struct CsvOptions {
  // Tried in this order: the first one that stands outside quotes in the header separates all cells.
  std::string_view separators = ",";
  // Rows with a stray quote are told by damage(), for readers that may leave rows out; else they are refused.
  bool tells_damage = false;
};

// One pass over a text, row by row. A cell may be quoted: then it may hold separators and line ends, and "" is a quote;
// a quote inside a cell that does not begin with one is a plain character. Blanks around cells are dropped. Takes a
// byte order mark and CRLF; skips blank lines and, outside quotes, lines that begin with #. A quote that nothing
// closes, and one that takes in a line which is a row by itself, is a stray one: a row must never vanish without a
// word. Keeps views: the text must outlive it. Not thread safe.
class CsvReader {
 public:
  // Reads the header. `where` names the text in messages. Throws kBadInput for a stray quote, here and, unless the
  // options want to be told, in next().
  CsvReader(std::string_view text, std::string where, const CsvOptions& options = {});

  bool has_header() const { return !names_.empty(); }  // false: nothing but blank lines and comments
  const std::vector<std::string>& names() const { return names_; }
  std::string_view header_text() const { return header_text_; }  // as it stands, without its line end
  int header_line() const { return header_line_; }

  // Goes to the next row; false at the end. The cells live until the next call.
  bool next();
  // What is wrong with the quotes of this row, which then ends with its first line; empty: nothing.
  const std::string& damage() const { return damage_; }
  int line() const { return line_; }  // of the file, where the row begins; the first line is 1
  const std::vector<std::string>& cells() const { return cells_; }
  const std::string& cell(size_t column) const { return cells_[column]; }
  // The cell of a column that may be missing (below 0), then empty.
  std::string_view cell_or_empty(int column) const;

  // Throws kBadInput unless the row has as many cells as the header.
  void check_width() const;
  // Throws kBadInput "WHERE: line N: column NAME: MESSAGE"; the column is left out when it is empty.
  [[noreturn]] void fail(std::string_view column, std::string_view message) const;

 private:
  bool read_row();
  bool is_row_by_itself(std::string_view line) const;
  std::string stray_quote(size_t column, std::string_view what) const;
  std::string_view rest_line() const;

  std::string_view text_;
  std::string where_, damage_;
  bool tells_damage_ = false;
  char separator_ = ',';
  int next_line_ = 1, line_ = 0, header_line_ = 0;
  std::vector<std::string> names_, cells_;
  std::string_view row_text_, header_text_;
};

// A column's name as names are compared: letters and digits alone, in lower case, and the characters of `also`.
std::string plain_column_name(std::string_view name, std::string_view also = "");

// A finite number that is the whole cell.
std::optional<double> number_in_cell(std::string_view cell);

}  // namespace flywheel
