#include "base/format.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace flywheel {

Budget parse_budget(std::string_view text) {
  constexpr const char* kExpected = "expected a time such as 90s, 10m, 1.5h or 2d, or a number of FLOPs such as 1e14";
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const std::string_view unit(stop, static_cast<size_t>(end - stop));
  if (error != std::errc() || !std::isfinite(value)) throw_bad_input("budget \"{}\": {}", text, kExpected);
  if (value <= 0) throw_bad_input("budget \"{}\" buys nothing: {}", text, kExpected);
  if (unit.empty()) {
    if (value < 1e6 || value > 1e30)
      throw_bad_input(
          "budget \"{}\" would be {:.3g} FLOPs; between 1e6 and 1e30 make sense. For a time write 90s, 10m or 2h.",
          text, value);
    return {.seconds = 0, .flops = value};
  }
  double scale = 0;
  if (unit == "s") scale = 1;
  if (unit == "m" || unit == "min") scale = 60;
  if (unit == "h") scale = 3600;
  if (unit == "d") scale = 86400;
  if (scale == 0) throw_bad_input("budget \"{}\": unknown unit \"{}\"; {}", text, unit, kExpected);
  const double seconds = value * scale;
  if (seconds < 1 || seconds > 10 * 365.25 * 86400)
    throw_bad_input("budget \"{}\" is {:.3g} seconds; between one second and ten years make sense", text, seconds);
  return {.seconds = seconds, .flops = 0};
}

std::string format_seconds(double seconds) {
  if (seconds < 0.1) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
  return fmt::format("{} d {:02} h", whole / 86400, whole % 86400 / 3600);
}

std::string format_bytes(double bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  int unit = 0;
  while (bytes >= 999.5 && unit < 5) bytes /= 1000, ++unit;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.3g} {}", bytes, units[unit]);
}

std::string format_count(double count) {
  const char* units[] = {"", "k", "M", "B", "T"};
  int unit = 0;
  while (std::abs(count) >= 999.5 && unit < 4) count /= 1000, ++unit;
  return fmt::format("{:.3g}{}", count, units[unit]);
}

std::string format_power(double value) {
  std::string text = fmt::format("{:.3g}", value);
  const size_t exponent = text.find('e');
  if (exponent == std::string::npos) return text;
  // printf writes e+09 and e-09, which nobody else does.
  const bool small = text[exponent + 1] == '-';
  const size_t digits = text.find_first_not_of("+-0", exponent + 1);
  return text.substr(0, exponent + 1) + (small ? "-" : "") + text.substr(digits);
}

std::string format_flops(double flops) {
  return format_power(flops) + " FLOPs";
}

std::string with_short_numbers(std::string_view text) {
  constexpr size_t kMostDigits = 5;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto is_word = [&](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  std::string result;
  size_t at = 0;
  while (at < text.size()) {
    const bool begins = is_digit(text[at]) && (at == 0 || (!is_word(text[at - 1]) && text[at - 1] != '.'));
    double value = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
    if (!begins || error != std::errc()) {
      result += text[at++];
      continue;
    }
    const std::string_view number = text.substr(at, static_cast<size_t>(end - (text.data() + at)));
    at += number.size();
    const std::string_view mantissa = number.substr(0, number.find_first_of("eE"));
    const size_t significant = mantissa.find_first_of("123456789");
    const size_t digits =
        significant == std::string_view::npos
            ? 0
            : static_cast<size_t>(
                  std::count_if(mantissa.begin() + static_cast<std::ptrdiff_t>(significant), mantissa.end(), is_digit));
    const bool long_fraction = mantissa.find('.') != std::string_view::npos && digits > kMostDigits;
    result += long_fraction ? fmt::format("{:.4g}", value) : std::string(number);
  }
  return result;
}

std::string shell_command(const std::vector<std::string>& arguments) {
  std::string line;
  for (const std::string& argument : arguments) {
    const bool plain = !argument.empty() && std::all_of(argument.begin(), argument.end(), [](char ch) {
      return std::isalnum(static_cast<unsigned char>(ch)) ||
             std::string_view("-_./,:=+@%^").find(ch) != std::string_view::npos;
    });
    if (!line.empty()) line += ' ';
    if (plain) {
      line += argument;
      continue;
    }
    line += '\'';
    for (const char ch : argument) line += ch == '\'' ? std::string("'\\''") : std::string(1, ch);
    line += '\'';
  }
  return line;
}

std::string wrapped(std::string_view text, int columns, int indent) {
  const auto width = [](std::string_view word) {
    return static_cast<int>(std::count_if(word.begin(), word.end(), [](char ch) { return (ch & 0xC0) != 0x80; }));
  };
  std::string lines;
  int used = 0;
  for (size_t from = 0; from < text.size();) {
    const size_t begin = text.find_first_not_of(' ', from);
    if (begin == std::string_view::npos) break;
    const size_t end = std::min(text.find(' ', begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    if (lines.empty()) {
      used = width(word);
    } else if (used + 1 + width(word) <= columns) {
      lines += ' ';
      used += 1 + width(word);
    } else {
      lines += '\n' + std::string(static_cast<size_t>(indent), ' ');
      used = indent + width(word);
    }
    lines += word;
    from = end;
  }
  return lines;
}

}  // namespace flywheel
