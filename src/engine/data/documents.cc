#include "engine/data/documents.h"

#include <fmt/format.h>

namespace flywheel::data {
namespace {

// The end of a blank line that starts at or after the line end at `newline`; npos when the next line is not blank.
size_t after_blank_line(std::string_view text, size_t newline) {
  size_t next = newline + 1;
  while (next < text.size() && (text[next] == ' ' || text[next] == '\t' || text[next] == '\r')) ++next;
  return next < text.size() && text[next] == '\n' ? next + 1 : std::string_view::npos;
}

}  // namespace

std::string DocumentRule::text() const {
  return fmt::format(
      "a file up to {} KiB is a document; larger files are cut at blank lines (else line ends) into documents of about "
      "{} KiB",
      whole_bytes >> 10, piece_bytes >> 10);
}

void DocumentCutter::push(std::string_view text) {
  buffer_.append(text);
  if (!large_ && buffer_.size() > rule_.whole_bytes) large_ = true;
  if (large_) cut();
}

void DocumentCutter::finish() {
  if (large_) cut();
  if (!buffer_.empty()) sink_(buffer_);
  buffer_.clear();
  large_ = false;
}

size_t DocumentCutter::piece_end(std::string_view text) const {
  const std::string_view window = text.substr(0, 2 * rule_.piece_bytes);
  size_t line_end = std::string_view::npos;
  for (size_t newline = window.find('\n', rule_.piece_bytes - 1); newline != std::string_view::npos;
       newline = window.find('\n', newline + 1)) {
    if (line_end == std::string_view::npos) line_end = newline + 1;
    if (const size_t end = after_blank_line(window, newline); end != std::string_view::npos) return end;
  }
  if (line_end != std::string_view::npos) return line_end;
  size_t end = window.size();
  while (end > window.size() - 3 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return end;
}

void DocumentCutter::cut() {
  size_t begin = 0;
  const std::string_view text(buffer_);
  // One byte more than a window, to see whether a hard cut would fall inside a character.
  while (text.size() - begin > 2 * rule_.piece_bytes) {
    const size_t length = piece_end(text.substr(begin));
    sink_(text.substr(begin, length));
    begin += length;
  }
  buffer_.erase(0, begin);
}

}  // namespace flywheel::data
