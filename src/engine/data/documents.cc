#include "engine/data/documents.h"

#include <algorithm>
#include <cstring>

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

bool is_object(std::string_view line) {
  return line.front() == '{' && parse_json_or_none(line).has_value();
}

// A line, its end aside.
bool ends_texts(std::string_view line) {
  return line.starts_with(kEndOfText) && line.find_first_not_of(" \r", kEndOfText.size()) == std::string_view::npos;
}

bool has_end_of_text_line(std::string_view text, bool whole_file) {
  for (size_t end = 0; end < text.size(); ++end) {
    const void* const found = ::memmem(text.data() + end, text.size() - end, kEndOfText.data(), kEndOfText.size());
    if (found == nullptr) return false;
    const auto begin = static_cast<size_t>(static_cast<const char*>(found) - text.data());
    end = std::min(text.find('\n', begin), text.size());
    if (end == text.size() && !whole_file) return false;
    if ((begin == 0 || text[begin - 1] == '\n') && ends_texts(text.substr(begin, end - begin))) return true;
  }
  return false;
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
  if (!whole_file && buffer_.size() < kHeadBytes) return;
  if (may_be_json_lines(whole_file)) {
    if (!whole_file && json_lines_ < kLinesLookedAt && buffer_.size() < kJsonHeadBytes) return;
    if (json_lines_ >= 2) {
      form_ = Form::kJsonLines;
      line_ = searched_ = 0;
      return;
    }
  }
  const std::string_view head = std::string_view(buffer_).substr(0, kHeadBytes);
  if (has_end_of_text_line(head, whole_file && head.size() == buffer_.size())) {
    form_ = Form::kEndOfTextLines;
    line_ = searched_ = 0;
    return;
  }
  form_ = Form::kWhole;
  any_ = !buffer_.empty();
  if (any_) sink_.text(buffer_);
  buffer_ = {};
}

// Looks at those of the first lines that were completed since it last looked.
bool DocumentReader::may_be_json_lines(bool whole_file) {
  // What arrived beyond a head must not count: it depends on the chunks.
  const std::string_view text = std::string_view(buffer_).substr(0, kJsonHeadBytes);
  if (searched_ == 0) {
    const size_t first = text.substr(0, kHeadBytes).find_first_not_of("\xef\xbb\xbf \t\r\n");
    if (first == std::string_view::npos || text[first] != '{') return false;
    if (text.starts_with(kByteOrderMark)) line_ = kByteOrderMark.size();
  }
  while (json_lines_ < kLinesLookedAt && line_ < text.size()) {
    const size_t end = std::min(text.find('\n', std::max(line_, searched_)), text.size());
    searched_ = end;
    if (end == text.size() && !whole_file) break;
    const std::string_view line = trimmed(text.substr(line_, end - line_));
    if (!line.empty() && !is_object(line)) return false;
    json_lines_ += !line.empty();
    line_ = end + 1;
  }
  return true;
}

void DocumentReader::document(std::string_view text) {
  sink_.text(text);
  sink_.end();
}

void DocumentReader::take_records(bool whole_file) {
  const std::string_view text(buffer_);
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', searched_)) != std::string_view::npos; line_ = searched_ = end + 1) {
    const std::string_view line = text.substr(line_, end - line_);
    // Blank lines belong to the record after them.
    if (form_ == Form::kJsonLines ? trimmed(line).empty() : !ends_texts(line)) continue;
    document(text.substr(begin, end + 1 - begin));
    begin = end + 1;
  }
  searched_ = text.size();
  if (whole_file && begin < text.size()) document(text.substr(begin));
  buffer_.erase(0, begin);
  line_ -= begin, searched_ -= begin;
}

}  // namespace flywheel::data
