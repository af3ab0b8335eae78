#include "base/table/table_text.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/error.h"

namespace flywheel {
namespace {

enum class Encoding { kUtf8, kUtf16Little, kUtf16Big };

Encoding encoding_of(std::string_view bytes, const std::string& where) {
  using namespace std::string_view_literals;
  if (bytes.starts_with("\xFF\xFE\0\0"sv) || bytes.starts_with("\0\0\xFE\xFF"sv))
    throw_bad_input("{}: is UTF-32; expected UTF-8 or UTF-16", where);
  if (bytes.starts_with("\xFF\xFE")) return Encoding::kUtf16Little;
  if (bytes.starts_with("\xFE\xFF")) return Encoding::kUtf16Big;
  // Without a mark: the letters and digits of a table have a zero in every other byte.
  constexpr size_t kSample = 512;
  const std::string_view sample = bytes.substr(0, kSample);
  size_t even = 0, odd = 0;
  for (size_t i = 0; i < sample.size(); ++i)
    if (sample[i] == '\0') ++(i % 2 == 0 ? even : odd);
  if (sample.size() >= 4 && even == 0 && 3 * odd > sample.size()) return Encoding::kUtf16Little;
  if (sample.size() >= 4 && odd == 0 && 3 * even > sample.size()) return Encoding::kUtf16Big;
  return Encoding::kUtf8;
}

void append_utf8(std::string& text, uint32_t code) {
  const auto byte = [&](uint32_t value) { text += static_cast<char>(value); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0 | code >> 6), byte(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    byte(0xE0 | code >> 12), byte(0x80 | (code >> 6 & 0x3F)), byte(0x80 | (code & 0x3F));
  } else {
    byte(0xF0 | code >> 18), byte(0x80 | (code >> 12 & 0x3F)), byte(0x80 | (code >> 6 & 0x3F));
    byte(0x80 | (code & 0x3F));
  }
}

std::string from_utf16(std::string_view bytes, bool little) {
  constexpr uint32_t kReplacement = 0xFFFD;
  const auto unit = [&](size_t at) {
    const auto first = static_cast<unsigned char>(bytes[at]), second = static_cast<unsigned char>(bytes[at + 1]);
    return static_cast<uint32_t>(little ? first | second << 8 : first << 8 | second);
  };
  std::string text;
  for (size_t at = 0; at + 1 < bytes.size(); at += 2) {
    uint32_t code = unit(at);
    if (code >= 0xD800 && code < 0xDC00 && at + 3 < bytes.size()) {
      const uint32_t low = unit(at + 2);
      if (low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        at += 2;
      }
    }
    append_utf8(text, code >= 0xD800 && code < 0xE000 ? kReplacement : code);
  }
  if (bytes.size() % 2 != 0) append_utf8(text, kReplacement);
  return text;
}

std::string with_line_feeds(std::string text) {
  if (text.find('\r') == std::string::npos) return text;
  size_t to = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      text[to++] = text[i];
      continue;
    }
    // CR CR LF is what a second conversion makes of CR LF.
    const size_t next = std::min(text.find_first_not_of('\r', i), text.size());
    if (next < text.size() && text[next] == '\n') {
      i = next - 1;
      continue;
    }
    text[to++] = '\n';
  }
  text.resize(to);
  return text;
}

// Of the code point at the front: its bytes, and what it is as plain ASCII; 0: it stays.
struct Plain {
  size_t bytes = 1;
  char ascii = 0;
};

Plain plain_at(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80)
    return {1, first < ' ' || first == 0x7F
                   ? (std::string_view("\t\r\n\f\v").find(text.front()) != text.npos ? ' ' : '\0')
                   : '\0'};
  const auto second = text.size() > 1 ? static_cast<unsigned char>(text[1]) : 0u;
  const auto third = text.size() > 2 ? static_cast<unsigned char>(text[2]) : 0u;
  if (first == 0xC2 && second == 0xA0) return {2, ' '};
  if (text.size() < 3) return {};
  const uint32_t code = static_cast<uint32_t>(first & 0x0F) << 12 | (second & 0x3F) << 6 | (third & 0x3F);
  if ((first & 0xF0) != 0xE0) return {};
  if (code >= 0xFF01 && code <= 0xFF5E) return {3, static_cast<char>(code - 0xFEE0)};
  if ((code >= 0x2000 && code <= 0x200F) || code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F ||
      code == 0x2060 || code == 0x3000 || code == 0xFEFF)
    return {3, ' '};
  if (code == 0x2212 || code == 0x2010 || code == 0x2011) return {3, '-'};
  return {};
}

}  // namespace

std::string table_text(std::string_view bytes, const std::string& where) {
  const Encoding encoding = encoding_of(bytes, where);
  std::string text =
      encoding == Encoding::kUtf8 ? std::string(bytes) : from_utf16(bytes, encoding == Encoding::kUtf16Little);
  while (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  text = with_line_feeds(std::move(text));
  if (const size_t nul = text.find('\0'); nul != std::string::npos)
    throw_bad_input("{}: line {}: a NUL byte, as in a binary file; expected a table as text (CSV, TSV or JSONL)", where,
                    1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(nul), '\n'));
  return text;
}

std::string_view without_blanks(std::string_view cell) {
  while (!cell.empty()) {
    const Plain plain = plain_at(cell);
    if (cell.front() != ' ' && plain.ascii != ' ') break;
    cell.remove_prefix(plain.bytes);
  }
  while (!cell.empty()) {
    size_t at = cell.size() - 1;
    while (at > 0 && cell.size() - at < 3 && (static_cast<unsigned char>(cell[at]) & 0xC0) == 0x80) --at;
    const std::string_view last = cell.substr(at);
    if (const Plain plain = plain_at(last); last != " " && (plain.ascii != ' ' || plain.bytes != last.size())) break;
    cell.remove_suffix(last.size());
  }
  return cell;
}

std::string with_plain_characters(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    const Plain next = plain_at(text);
    if (next.ascii != 0)
      plain += next.ascii;
    else
      plain += text.substr(0, next.bytes);
    text.remove_prefix(next.bytes);
  }
  return plain;
}

std::string shown_cell(std::string_view cell, size_t most) {
  std::string shown;
  for (const char c : cell) {
    const auto byte = static_cast<unsigned char>(c);
    if (shown.size() >= most && (byte & 0xC0) != 0x80) return shown + "..";
    shown += byte < ' ' || byte == 0x7F ? '?' : c;
    if (shown.size() > most + 4) return shown + "..";
  }
  return shown;
}

}  // namespace flywheel
