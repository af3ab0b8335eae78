#include "engine/data/documents.h"

#include <algorithm>

#include "base/json.h"

namespace flywheel::data {
namespace {

constexpr size_t kHeadBytes = 64 << 10;
constexpr size_t kJsonHeadBytes = 8 << 20;  // of a file that begins like a JSON object, whose lines may be long
constexpr int kLinesLookedAt = 8;
constexpr std::string_view kEndOfText = "<|endoftext|>", kByteOrderMark = "\xef\xbb\xbf";

std::string_view trimmed(std::string_view line) {
  const size_t begin = line.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(" \t\r\n") - begin + 1);
}

// Lines that are complete, blank ones left out. False when one of the first is no JSON object.
bool has_json_lines(std::string_view text, bool whole_file, int& lines) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  lines = 0;
  while (!text.empty() && lines < kLinesLookedAt) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos && !whole_file) break;
    const std::string_view line = trimmed(text.substr(0, end));
    if (!line.empty()) {
      if (line.front() != '{' || !Json::accept(line)) return false;
      ++lines;
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return true;
}

// The end of the first line at or after `from` that is the separator; npos: none is complete.
size_t end_of_text_line(std::string_view text, size_t from, bool whole_file) {
  for (size_t at = text.find(kEndOfText, from); at != std::string_view::npos; at = text.find(kEndOfText, at + 1)) {
    if (at > 0 && text[at - 1] != '\n') continue;
    size_t end = at + kEndOfText.size();
    while (end < text.size() && (text[end] == ' ' || text[end] == '\r')) ++end;
    if (end == text.size()) return whole_file ? end : std::string_view::npos;
    if (text[end] == '\n') return end + 1;
  }
  return std::string_view::npos;
}

}  // namespace

void DocumentReader::push(std::string_view text) {
  if (text.empty()) return;
  if (form_ == Form::kWhole) return sink_.text(text);
  buffer_.append(text);
  if (form_ == Form::kUnknown) decide(false);
  if (form_ == Form::kJsonLines || form_ == Form::kEndOfTextLines) take_records(false);
}

void DocumentReader::finish() {
  if (form_ == Form::kUnknown) decide(true);
  if (form_ == Form::kWhole) {
    if (any_) sink_.end();
  } else {
    take_records(true);
  }
}

void DocumentReader::decide(bool whole_file) {
  const size_t first = std::min(buffer_.find_first_not_of("\xef\xbb\xbf \t\r\n"), buffer_.size());
  const bool braced = first < buffer_.size() && buffer_[first] == '{';
  if (!whole_file && buffer_.size() < kHeadBytes) return;
  if (braced) {
    int lines = 0;
    if (has_json_lines(buffer_, whole_file, lines)) {
      if (lines >= 2) {
        form_ = Form::kJsonLines;
        return;
      }
      if (!whole_file && buffer_.size() < kJsonHeadBytes) return;
    }
  }
  if (end_of_text_line(std::string_view(buffer_).substr(0, kHeadBytes), 0, whole_file) != std::string_view::npos) {
    form_ = Form::kEndOfTextLines;
    return;
  }
  form_ = Form::kWhole;
  any_ = !buffer_.empty();
  if (any_) sink_.text(buffer_);
  buffer_ = {};
}

void DocumentReader::document(std::string_view text) {
  sink_.text(text);
  sink_.end();
}

void DocumentReader::take_records(bool whole_file) {
  const std::string_view text(buffer_);
  size_t begin = 0;
  while (begin < text.size()) {
    size_t end;
    if (form_ == Form::kJsonLines) {
      end = text.find('\n', begin);
      if (end != std::string_view::npos) ++end;
    } else {
      end = end_of_text_line(text, begin, false);
    }
    if (end == std::string_view::npos) break;
    // Blank lines belong to the record after them.
    if (trimmed(text.substr(begin, end - begin)).empty() && end < text.size()) {
      const size_t more = text.find_first_not_of(" \t\r\n", end);
      if (more == std::string_view::npos) break;
      const size_t next = text.find('\n', more);
      if (next == std::string_view::npos) break;
      end = next + 1;
    }
    document(text.substr(begin, end - begin));
    begin = end;
  }
  if (whole_file && begin < text.size()) {
    document(text.substr(begin));
    begin = text.size();
  }
  buffer_.erase(0, begin);
}

}  // namespace flywheel::data
