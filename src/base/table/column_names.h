// Which column of a table a quantity stands in: names in any case and spelling, units in names, prefixes of loggers.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/table/table.h"

namespace flywheel {

// A quantity and the names that it goes by; names are plain ones (plain_column_name).
struct WantedColumn {
  std::string_view symbol;               // as --columns and messages call it
  std::string_view means;                // in words
  std::vector<std::string_view> names;   // the usual ones, of equal rank
  std::vector<std::string_view> others;  // taken where none of the usual ones is there
  bool has_unit = false;                 // "(M)", "_millions" and the like say in what it is counted
};

// A name and what it says of a unit: "Tokens (B)", "params_M", "tokens_in_billions". Nothing: no unit that is known.
struct NameWithUnit {
  std::string name;
  double factor = 1;
  std::string words;  // "b": what was read as the unit
};
std::optional<NameWithUnit> name_with_unit(std::string_view name);

struct FoundColumn {
  int column = -1;    // below 0: none
  double factor = 1;  // of its numbers, by its name; a cell that has a suffix of its own is in ones
  int also = -1;      // another column that looks like it as much; below 0: none
};
// The column that looks most like the quantity: one that was chosen; a usual name; a usual name with a unit; one after
// a logger's prefix (config.n_params, eval/loss); one of the other names.
FoundColumn find_column(const Table& table, const WantedColumn& wanted);

// The value of a cell by the unit of its column; nothing where the cell is no number.
std::optional<double> value_in_ones(const Table& table, size_t row, const FoundColumn& found);

// "a, b, c", cut where there are many.
std::string listed_columns(const Table& table);
// Columns with numbers whose names have one of the parts, or are near a usual name; at most six.
std::vector<std::string> candidates(const Table& table, const WantedColumn& wanted,
                                    const std::vector<std::string_view>& parts);
// Text as one word of a shell; NAME=column as --columns takes it, in quotes where the name needs them.
std::string for_shell(std::string_view text);
std::string choice_of(std::string_view symbol, std::string_view column, std::string_view arithmetic = "");

}  // namespace flywheel
