// What a user says of a table's columns, as --columns takes it: N=params*1e6,D="Tokens (B)",L=val/loss. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/table/table.h"

namespace flywheel {

// Adds a chosen column to the table for each "NAME=EXPRESSION" of the comma-separated lists. An expression is a
// column's name, or sums, differences, products, quotients and brackets of numbers and names; a name with other
// characters than letters, digits, "_" and "." is found where it stands as in the header, or in quotes. A name alone is
// read as it would be by itself, units of its header included; in arithmetic its numbers count as they stand. Rows
// where a number is missing keep the text of the cell that has none. Throws kBadInput naming the option for what cannot
// be read, a name that is no column (with those near it), and a NAME that is none of `names`.
void choose_columns(Table& table, const std::vector<std::string>& lists, const std::vector<std::string>& names);

}  // namespace flywheel
