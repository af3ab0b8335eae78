#include "engine/data/split/escapes.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace flywheel::data {
namespace {

constexpr std::string_view kBegin = "\\u";
constexpr size_t kEscapeBytes = 6;  // two of them are a surrogate pair
constexpr uint32_t kHigh = 0xd800, kLow = 0xdc00, kBeyondPairs = 0xe000, kNoCharacter = ~uint32_t{0};

// By vectors: most texts hold none, and looking at one backslash after the other takes time where there are many.
bool holds_escape(std::string_view text) {
  uint8_t holds = 0;
  for (size_t i = 0; i + 1 < text.size(); ++i) holds |= (text[i] == kBegin[0]) & (text[i + 1] == kBegin[1]);
  return holds != 0;
}

// What four hexadecimal digits after \u say, else kNoCharacter.
uint32_t unit_at(std::string_view text) {
  if (text.size() < kEscapeBytes || !text.starts_with(kBegin)) return kNoCharacter;
  uint32_t unit = 0;
  const char* const end = text.data() + kEscapeBytes;
  const auto [stop, error] = std::from_chars(text.data() + kBegin.size(), end, unit, 16);
  return error == std::errc() && stop == end ? unit : kNoCharacter;
}

void append_utf8(uint32_t character, std::string& to) {
  const int more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;  // bytes after the first
  constexpr uint32_t kFirst[] = {0, 0xc0, 0xe0, 0xf0};
  to += static_cast<char>(kFirst[more] | character >> 6 * more);
  for (int byte = more - 1; byte >= 0; --byte) to += static_cast<char>(0x80 | (character >> 6 * byte & 0x3f));
}

}  // namespace

std::string_view EscapeReader::read(std::string_view text, bool last) {
  if (!held_.empty()) {
    joined_ = std::exchange(held_, {});
    joined_ += text;
    text = joined_;
  }
  size_t copied = 0, at = 0, end = text.size();
  if (!last && text.ends_with(kBegin[0])) --end;
  if (holds_escape(text)) {
    read_.clear();
    while ((at = text.find(kBegin, at)) != std::string_view::npos) {
      if (!last && text.size() - at < 2 * kEscapeBytes) {
        end = at;
        break;
      }
      uint32_t character = unit_at(text.substr(at));
      size_t bytes = kEscapeBytes;
      if (character >= kHigh && character < kBeyondPairs) {
        const uint32_t low = unit_at(text.substr(at + kEscapeBytes));
        const bool pair = character < kLow && low >= kLow && low < kBeyondPairs;
        character = pair ? 0x10000 + ((character - kHigh) << 10) + (low - kLow) : kNoCharacter;
        bytes = 2 * kEscapeBytes;
      }
      if (character == kNoCharacter) {
        at += kBegin.size();
        continue;
      }
      read_ += text.substr(copied, at - copied);
      append_utf8(character, read_);
      copied = at += bytes;
    }
  }
  held_ = text.substr(end);
  text = text.substr(0, end);
  if (copied == 0) return text;
  read_ += text.substr(copied);
  return read_;
}

}  // namespace flywheel::data
