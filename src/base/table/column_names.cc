#include "base/table/column_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "base/csv.h"
#include "base/json_reader.h"
#include "base/table/table_text.h"

namespace flywheel {
namespace {

std::string lower(std::string_view text) {
  std::string small = with_plain_characters(text);
  for (char& c : small) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return small;
}

// The factor that a word means; 1 for words that say what is counted; nothing for others.
std::optional<double> unit_factor(std::string_view word, bool in_brackets) {
  struct Unit {
    std::string_view word;
    double factor;
  };
  static constexpr std::array<Unit, 24> kUnits = {
      {{"k", 1e3},       {"thousand", 1e3}, {"thousands", 1e3}, {"m", 1e6},     {"mm", 1e6},        {"mio", 1e6},
       {"million", 1e6}, {"millions", 1e6}, {"b", 1e9},         {"bn", 1e9},    {"g", 1e9},         {"mrd", 1e9},
       {"billion", 1e9}, {"billions", 1e9}, {"t", 1e12},        {"tn", 1e12},   {"trillion", 1e12}, {"trillions", 1e12},
       {"1e3", 1e3},     {"1e6", 1e6},      {"1e9", 1e9},       {"1e12", 1e12}, {"mln", 1e6},       {"bln", 1e9}}};
  for (const Unit& unit : kUnits)
    if (unit.word == word) return unit.factor;
  if (!in_brackets) return std::nullopt;
  static constexpr std::array<std::string_view, 12> kOnes = {
      "tokens", "params", "parameters", "flop", "flops", "count", "#", "number", "total", "nats", "datapoints", "nat"};
  if (std::find(kOnes.begin(), kOnes.end(), word) != kOnes.end()) return 1;
  for (const std::string_view prefix : {"1e", "10^", "x1e", "x10^", "e"})
    if (word.starts_with(prefix) && word.size() > prefix.size() && word.size() <= prefix.size() + 2 &&
        std::all_of(word.begin() + static_cast<std::ptrdiff_t>(prefix.size()), word.end(),
                    [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }))
      return std::pow(10.0, std::stoi(std::string(word.substr(prefix.size()))));
  return std::nullopt;
}

// "in billions" and "billions of tokens" as "billions".
std::string_view unit_word(std::string_view text) {
  text = without_blanks(text);
  if (text.starts_with("in ")) text.remove_prefix(3);
  const size_t of = text.find(" of ");
  if (of != text.npos) text = text.substr(0, of);
  if (const size_t blank = text.find(' '); blank != text.npos && unit_factor(text.substr(0, blank), false))
    text = text.substr(0, blank);
  return without_blanks(text);
}

// What stands after a logger's prefix; empty: there is none.
std::string_view after_prefix(std::string_view name) {
  const size_t dot = name.rfind('.'), slash = name.rfind('/');
  if (slash == name.npos && dot != name.npos && dot > 0) return name.substr(dot + 1);
  if (slash == name.npos || slash == 0) return {};
  static constexpr std::array<std::string_view, 20> kKnown = {
      "train", "val",     "valid", "validation", "eval",   "test", "trainer", "params",     "config",  "model",
      "data",  "metrics", "perf",  "throughput", "global", "opt",  "optim",   "evaluation", "summary", "dev"};
  const std::string prefix = lower(name.substr(0, slash));
  return std::find(kKnown.begin(), kKnown.end(), prefix) != kKnown.end() ? name.substr(slash + 1) : std::string_view{};
}

bool holds(const std::vector<std::string_view>& names, std::string_view name) {
  const std::string plain = plain_column_name(with_plain_characters(name));
  return std::find(names.begin(), names.end(), plain) != names.end();
}

enum Rank { kChosen, kUsual, kUsualWithUnit, kPrefixed, kPrefixedWithUnit, kOther, kOtherWithUnit, kNone };

Rank rank_of(std::string_view name, const WantedColumn& wanted, double& factor) {
  const auto unit = wanted.has_unit ? name_with_unit(name) : std::nullopt;
  const std::string_view rest = after_prefix(name);
  const auto rest_unit = wanted.has_unit && !rest.empty() ? name_with_unit(rest) : std::nullopt;
  factor = 1;
  if (holds(wanted.names, name)) return kUsual;
  if (unit && holds(wanted.names, unit->name)) return factor = unit->factor, kUsualWithUnit;
  // A name that is known as a whole is not looked at in parts: train/loss is no loss after a prefix.
  if (holds(wanted.others, name)) return kOther;
  if (!rest.empty() && holds(wanted.names, rest)) return kPrefixed;
  if (rest_unit && holds(wanted.names, rest_unit->name)) return factor = rest_unit->factor, kPrefixedWithUnit;
  if (unit && holds(wanted.others, unit->name)) return factor = unit->factor, kOtherWithUnit;
  if (!rest.empty() && holds(wanted.others, rest)) return kOther;
  if (rest_unit && holds(wanted.others, rest_unit->name)) return factor = rest_unit->factor, kOtherWithUnit;
  return kNone;
}

}  // namespace

std::optional<NameWithUnit> name_with_unit(std::string_view name) {
  const std::string text = lower(without_blanks(name));
  if (!text.empty() && (text.back() == ')' || text.back() == ']')) {
    const size_t open = text.rfind(text.back() == ')' ? '(' : '[');
    if (open == std::string::npos || open == 0) return std::nullopt;
    const std::string_view word = unit_word(std::string_view(text).substr(open + 1, text.size() - open - 2));
    const auto factor = unit_factor(word, true);
    if (!factor) return std::nullopt;
    return NameWithUnit{text.substr(0, open), *factor, std::string(word)};
  }
  const size_t end = text.find_last_of("_ -.,/");
  if (end == std::string::npos || end == 0) return std::nullopt;
  const std::string_view word = std::string_view(text).substr(end + 1);
  const auto factor = unit_factor(word, false);
  if (!factor) return std::nullopt;
  std::string rest = text.substr(0, end);
  for (const std::string_view in : {"_in", " in", "-in"})
    if (rest.ends_with(in)) rest.resize(rest.size() - in.size());
  return NameWithUnit{rest, *factor, std::string(word)};
}

FoundColumn find_column(const Table& table, const WantedColumn& wanted) {
  FoundColumn found;
  Rank best = kNone;
  for (size_t c = 0; c < table.columns(); ++c) {
    double factor = 1;
    Rank rank = kNone;
    if (table.is_chosen(c)) {
      if (table.name(c) != wanted.symbol) continue;
      rank = kChosen;
      if (const auto unit = table.is_copy(c) && wanted.has_unit ? name_with_unit(table.meaning(c)) : std::nullopt)
        factor = unit->factor;
    } else {
      rank = rank_of(table.name(c), wanted, factor);
    }
    if (rank == kNone || rank > best) continue;
    if (rank == best) {
      if (found.also < 0) found.also = static_cast<int>(c);
      continue;
    }
    best = rank;
    found = {static_cast<int>(c), factor, -1};
  }
  return found;
}

std::optional<double> value_in_ones(const Table& table, size_t row, const FoundColumn& found) {
  const auto number = table.number(row, static_cast<size_t>(found.column));
  if (!number) return std::nullopt;
  const double value = number->has_suffix ? number->value : number->value * found.factor;
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::string listed_columns(const Table& table) {
  constexpr size_t kMost = 30;
  std::string listed;
  for (size_t c = 0; c < table.columns() && c < kMost; ++c)
    if (!table.is_chosen(c)) listed += (listed.empty() ? "" : ", ") + shown_cell(table.name(c));
  if (table.columns() > kMost) listed += fmt::format(" and {} more", table.columns() - kMost);
  return listed;
}

std::vector<std::string> candidates(const Table& table, const WantedColumn& wanted,
                                    const std::vector<std::string_view>& parts) {
  constexpr size_t kMost = 6, kRows = 20;
  std::vector<std::string> found;
  for (size_t c = 0; c < table.columns() && found.size() < kMost; ++c) {
    size_t numbers = 0, rows = std::min(kRows, table.rows());
    for (size_t r = 0; r < rows; ++r) numbers += table.number(r, c).has_value();
    if (2 * numbers < rows || rows == 0 || table.name(c).empty() || table.is_chosen(c)) continue;
    const std::string plain = plain_column_name(table.name(c));
    bool is_near = std::any_of(parts.begin(), parts.end(),
                               [&](std::string_view part) { return plain.find(part) != std::string::npos; });
    const std::vector<std::string> usual(wanted.names.begin(), wanted.names.end());
    is_near = is_near || (plain.size() > 3 && !nearest_name(plain, usual).empty());
    if (is_near) found.push_back(table.name(c));
  }
  return found;
}

std::string for_shell(std::string_view text) {
  const bool is_plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_./=,+-:").find(c) != std::string_view::npos;
  });
  return is_plain ? std::string(text) : fmt::format("'{}'", shown_cell(text, 80));
}

std::string choice_of(std::string_view symbol, std::string_view column, std::string_view arithmetic) {
  const bool is_plain = !column.empty() && std::all_of(column.begin(), column.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '/';
  });
  return is_plain ? fmt::format("{}={}{}", symbol, column, arithmetic)
                  : fmt::format("'{}=\"{}\"{}'", symbol, shown_cell(column, 80), arithmetic);
}

}  // namespace flywheel
