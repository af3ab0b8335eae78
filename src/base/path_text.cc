#include "base/path_text.h"

#include <fmt/format.h>

namespace flywheel {
namespace {

constexpr std::string_view kMark = "\xEF\xBF\xBD";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

size_t utf8_character_bytes(std::string_view bytes) {
  if (bytes.empty()) return 0;
  const auto byte = [&](size_t i) { return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0U; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool surrogate = first == 0xed && byte(1) >= 0xa0, too_large = first == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || too_large ? 0 : length;
}

std::string path_text(const Path& path) {
  std::string text;
  for (std::string_view rest = path.native(); !rest.empty();) {
    const size_t length = utf8_character_bytes(rest);
    if (length == 0 || rest.starts_with(kMark)) {
      text += fmt::format("{}{:02X}", kMark, static_cast<unsigned char>(rest[0]));
      rest.remove_prefix(1);
    } else {
      text += rest.substr(0, length);
      rest.remove_prefix(length);
    }
  }
  return text;
}

Path path_of_text(std::string_view text) {
  std::string path;
  while (!text.empty()) {
    const size_t digits = kMark.size() + 2;
    if (text.starts_with(kMark) && text.size() >= digits && hex_digit(text[3]) >= 0 && hex_digit(text[4]) >= 0) {
      path += static_cast<char>(hex_digit(text[3]) * 16 + hex_digit(text[4]));
      text.remove_prefix(digits);
    } else {
      path += text[0];
      text.remove_prefix(1);
    }
  }
  return path;
}

}  // namespace flywheel
