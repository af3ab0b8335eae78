#include "base/host/visible_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

namespace flywheel {
namespace {

struct Character {
  uint32_t code = 0;
  size_t bytes = 0;  // 0: no UTF-8
  bool cut = false;  // the text ends within it
};

Character character_at(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[i])); };
  const uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t bytes = first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : 4;
  if (first < 0xc2 || first > 0xf4) return {};
  uint32_t code = first & (0xffU >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if (i >= text.size()) return {.cut = true};
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = (code << 6) | (byte(i) & 0x3f);
  }
  constexpr std::array<uint32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[bytes] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, bytes};
}

bool steers(uint32_t code) {
  if (code < 0x20) return code != '\n' && code != '\t';
  return (code >= 0x7f && code < 0xa0) || (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

std::string VisibleText::take(std::string_view piece) {
  std::string joined;
  if (!waiting_.empty()) {
    joined = std::move(waiting_) + std::string(piece);
    waiting_.clear();
    piece = joined;
  }
  std::string out;
  out.reserve(piece.size());
  while (!piece.empty()) {
    const Character c = character_at(piece);
    if (c.cut) {
      waiting_ = piece;
      return out;
    }
    if (c.bytes == 0) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(piece[0]));
    } else if (!steers(c.code)) {
      out.append(piece.substr(0, c.bytes));
    } else if (c.code < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", c.code);
    } else {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", c.code);
    }
    piece.remove_prefix(std::max<size_t>(c.bytes, 1));
  }
  return out;
}

std::string VisibleText::finish() {
  std::string out;
  for (const char c : waiting_)
    fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  waiting_.clear();
  return out;
}

std::string visible(std::string_view text) {
  VisibleText pieces;
  const std::string out = pieces.take(text);
  return out + pieces.finish();
}

}  // namespace flywheel
