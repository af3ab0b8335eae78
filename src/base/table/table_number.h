// Numbers as tables have them: decimal points or commas, digits in groups, suffixes. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace flywheel {

// What commas of numbers are in a column. kEither: it has both kinds, so a cell that may be read either way is none.
enum class Commas { kGroups, kDecimals, kEither };

// Looks at cells one by one and says what the commas among them are.
class CommaEvidence {
 public:
  void add(std::string_view cell);
  void add(const CommaEvidence& other);
  bool is_clear() const { return decimals_ != groups_; }
  // Without evidence: `commas_are_decimals` decides, where there are commas and no dots that could be either as well.
  Commas judge(bool commas_are_decimals) const;

 private:
  bool decimals_ = false, groups_ = false, unclear_comma_ = false, unclear_dot_ = false;
};

struct CellNumber {
  double value = 0;
  bool has_suffix = false;  // of a unit: k, M, B or G, T; the value is in ones
};

// The finite number that is the whole cell, else nothing. Digits may stand in groups of three, with blanks, apostrophes
// or what is not the decimal sign between, or with "_" anywhere between digits; full-width forms are plain ones.
std::optional<CellNumber> read_number(std::string_view cell, Commas commas = Commas::kGroups);

}  // namespace flywheel
