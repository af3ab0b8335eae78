#include "base/table/table_number.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "base/table/table_text.h"

namespace flywheel {
namespace {

constexpr size_t kLongest = 64;  // bytes of a cell that is a number

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_plain(std::string_view cell) {
  return std::all_of(cell.begin(), cell.end(), [](char c) { return is_digit(c) || c == '.' || c == '-' || c == 'e'; });
}

// A cell's parts: sign, digits with what stands among them, exponent, suffix.
struct Parts {
  bool negative = false;
  std::string digits;    // with "." and "," where they stand; groups of other kinds are joined
  std::string exponent;  // "e-05"; empty: none
  double factor = 1;
  bool has_suffix = false;
};

// Whether `digits` is groups of three after the first, which has one to three, with `between` between.
bool is_grouped(std::string_view digits, char between) {
  size_t first = digits.find(between);
  if (first == digits.npos || first == 0 || first > 3) return false;
  for (size_t at = first; at < digits.size(); at += 4)
    if (digits[at] != between || at + 4 > digits.size() ||
        !std::all_of(digits.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                     digits.begin() + static_cast<std::ptrdiff_t>(at) + 4, is_digit))
      return false;
  return std::all_of(digits.begin(), digits.begin() + static_cast<std::ptrdiff_t>(first), is_digit);
}

std::string joined(std::string_view digits, char between) {
  std::string plain(digits);
  plain.erase(std::remove(plain.begin(), plain.end(), between), plain.end());
  return plain;
}

std::optional<Parts> parts_of(std::string_view cell) {
  if (cell.empty() || cell.size() > kLongest) return std::nullopt;
  std::string plain = with_plain_characters(without_blanks(cell));
  std::string_view text = plain;
  Parts parts;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    parts.negative = text.front() == '-';
    text.remove_prefix(1);
  }
  size_t end = std::min(text.find_first_not_of("0123456789.,_' "), text.size());
  while (end > 0 && text[end - 1] == ' ') --end;
  parts.digits = text.substr(0, end);
  text.remove_prefix(end);
  if (parts.digits.empty() || std::none_of(parts.digits.begin(), parts.digits.end(), is_digit)) return std::nullopt;
  for (size_t at = parts.digits.find('_'); at != std::string::npos; at = parts.digits.find('_', at)) {
    if (at == 0 || at + 1 == parts.digits.size() || !is_digit(parts.digits[at - 1]) || !is_digit(parts.digits[at + 1]))
      return std::nullopt;
    parts.digits.erase(at, 1);
  }
  for (const char between : {' ', '\''}) {
    if (parts.digits.find(between) == std::string::npos) continue;
    const size_t whole = std::min(parts.digits.find_first_of(".,"), parts.digits.size());
    if (!is_grouped(std::string_view(parts.digits).substr(0, whole), between)) return std::nullopt;
    parts.digits = joined(std::string_view(parts.digits).substr(0, whole), between) + parts.digits.substr(whole);
    if (parts.digits.find(between) != std::string::npos) return std::nullopt;
  }
  if (!text.empty() && (text.front() == 'e' || text.front() == 'E')) {
    size_t at = 1;
    parts.exponent = "e";
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) parts.exponent += text[at] == '-' ? "-" : "", ++at;
    const size_t from = at;
    while (at < text.size() && is_digit(text[at])) parts.exponent += text[at++];
    if (at == from) return std::nullopt;
    text.remove_prefix(at);
  }
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  if (text.empty()) return parts;
  constexpr std::string_view kSuffixes = "kKmMbBgGtT";
  constexpr double kFactors[] = {1e3, 1e6, 1e9, 1e9, 1e12};
  const size_t at = text.size() == 1 ? kSuffixes.find(text[0]) : std::string_view::npos;
  if (at == std::string_view::npos) return std::nullopt;
  parts.factor = kFactors[at / 2];
  parts.has_suffix = true;
  return parts;
}

enum class Form { kNone, kWhole, kDecimalDot, kDecimalComma, kUnclearDot, kUnclearComma };

// How the digits are written, and the digits as a program writes them where that is clear.
Form form_of(const Parts& parts, std::string& plain) {
  const std::string& digits = parts.digits;
  const auto dots = std::count(digits.begin(), digits.end(), '.'),
             commas = std::count(digits.begin(), digits.end(), ',');
  plain = digits;
  if (dots == 0 && commas == 0) return Form::kWhole;
  const size_t last = digits.find_last_of(".,");
  const char mark = digits[last], other = mark == '.' ? ',' : '.';
  const std::string_view before = std::string_view(digits).substr(0, last);
  if (dots > 0 && commas > 0) {  // the last one is the decimal sign
    if ((mark == '.' ? dots : commas) != 1 || !is_grouped(before, other)) return Form::kNone;
    plain = joined(before, other) + '.' + digits.substr(last + 1);
    return mark == '.' ? Form::kDecimalDot : Form::kDecimalComma;
  }
  if (dots + commas > 1) {
    if (!is_grouped(digits, mark)) return Form::kNone;
    plain = joined(digits, mark);
    return mark == '.' ? Form::kDecimalComma : Form::kDecimalDot;  // the other sign is the decimal one
  }
  plain[last] = '.';
  if (is_grouped(digits, mark) && digits.front() != '0' && parts.exponent.empty())
    return mark == '.' ? Form::kUnclearDot : Form::kUnclearComma;
  return mark == '.' ? Form::kDecimalDot : Form::kDecimalComma;
}

}  // namespace

void CommaEvidence::add(std::string_view cell) {
  const auto parts = parts_of(cell);
  if (!parts) return;
  std::string plain;
  switch (form_of(*parts, plain)) {
    case Form::kDecimalDot:
      groups_ = true;
      break;
    case Form::kDecimalComma:
      decimals_ = true;
      break;
    case Form::kUnclearComma:
      unclear_comma_ = true;
      break;
    case Form::kUnclearDot:
      unclear_dot_ = true;
      break;
    case Form::kNone:
    case Form::kWhole:
      break;
  }
}

void CommaEvidence::add(const CommaEvidence& other) {
  decimals_ = decimals_ || other.decimals_, groups_ = groups_ || other.groups_;
  unclear_comma_ = unclear_comma_ || other.unclear_comma_, unclear_dot_ = unclear_dot_ || other.unclear_dot_;
}

Commas CommaEvidence::judge(bool commas_are_decimals) const {
  if (decimals_ && groups_) return Commas::kEither;
  if (decimals_ || groups_) return decimals_ ? Commas::kDecimals : Commas::kGroups;
  if (!commas_are_decimals || !unclear_comma_) return Commas::kGroups;
  return unclear_dot_ ? Commas::kEither : Commas::kDecimals;
}

std::optional<CellNumber> read_number(std::string_view cell, Commas commas) {
  if (commas == Commas::kGroups && is_plain(cell)) {
    double value = 0;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (error == std::errc() && end == cell.data() + cell.size() && std::isfinite(value))
      return CellNumber{value, false};
  }
  const auto parts = parts_of(cell);
  if (!parts) return std::nullopt;
  std::string plain;
  switch (form_of(*parts, plain)) {
    case Form::kNone:
      return std::nullopt;
    case Form::kWhole:
      break;
    case Form::kDecimalDot:
      if (commas == Commas::kDecimals && parts->digits.find(',') != std::string::npos) return std::nullopt;
      break;
    case Form::kDecimalComma:
      if (commas == Commas::kGroups) return std::nullopt;
      break;
    case Form::kUnclearDot:
      if (commas != Commas::kGroups) return std::nullopt;
      break;
    case Form::kUnclearComma:
      if (commas == Commas::kEither) return std::nullopt;
      if (commas == Commas::kGroups) plain = joined(parts->digits, ',');
      break;
  }
  if (plain.front() == '.') plain.insert(0, "0");
  plain = (parts->negative ? "-" : "") + plain + parts->exponent;
  double value = 0;
  const auto [end, error] = std::from_chars(plain.data(), plain.data() + plain.size(), value);
  if (error != std::errc() || end != plain.data() + plain.size()) return std::nullopt;
  value *= parts->factor;
  if (!std::isfinite(value)) return std::nullopt;
  return CellNumber{value, parts->has_suffix};
}

}  // namespace flywheel
