#include "engine/data/read/documents.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace flywheel::data {
namespace {

constexpr size_t kHeadBytes = 64 << 10;
constexpr size_t kJsonHeadBytes = 8 << 20;  // of a file that begins like a JSON object, whose lines may be long
constexpr int kLinesLookedAt = 8;
constexpr int64_t kLackingLookedAt = 1000;  // records of a file
constexpr std::string_view kEndOfText = "<|endoftext|>", kByteOrderMark = "\xef\xbb\xbf";

std::string_view trimmed(std::string_view line) {
  const size_t begin = line.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(" \t\r\n") - begin + 1);
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

// The first value of a text that begins with a list or an object, where it ends in the text.
std::string_view first_value(std::string_view text) {
  int64_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth <= 0) {
      return text.substr(0, i + 1);
    }
  }
  return {};
}

void leave_out(DocumentFacts::LeftOut& kind, int64_t line, const std::string& why) {
  if (kind.examples.size() < kExamplesPerKind) kind.examples.push_back({line, why});
  ++kind.count;
}

}  // namespace

DocumentRules::Name named_as(const Path& path) {
  std::string name = path.filename().string();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  for (const std::string_view ending : {".gz", ".xz", ".zst", ".bz2"})
    if (name.ends_with(ending)) {
      name.resize(name.size() - ending.size());
      break;
    }
  for (const std::string_view ending : {".jsonl", ".ndjson", ".jsonlines"})
    if (name.ends_with(ending)) return DocumentRules::Name::kJsonLines;
  return name.ends_with(".json") ? DocumentRules::Name::kJson : DocumentRules::Name::kOther;
}

DocumentRules rules_for(const Path& path, const ReadingOptions& options) {
  return {.name = named_as(path),
          .text_field = options.text_field.empty() ? kUsualTextField : options.text_field,
          .field_was_asked = !options.text_field.empty()};
}

DocumentReader::DocumentReader(Sink sink, DocumentRules rules) : sink_(std::move(sink)), rules_(std::move(rules)) {}
DocumentReader::~DocumentReader() = default;

RecordParser& DocumentReader::parser() {
  if (!parser_) parser_ = std::make_unique<RecordParser>(rules_.text_field);
  return *parser_;
}

void DocumentReader::push(std::string_view text) {
  if (text.empty()) return;
  if (form_ == Form::kWhole) return sink_.text(text);
  if (form_ == Form::kRecords) return splitter_->push(text);
  buffer_.append(text);
  if (form_ == Form::kUnknown) decide(false);
  if (form_ == Form::kJsonLines || form_ == Form::kEndOfTextLines) take_lines(false);
}

void DocumentReader::finish() {
  if (form_ == Form::kUnknown) decide(true);
  if (form_ == Form::kWhole) {
    if (any_) sink_.end();
  } else if (form_ == Form::kRecords) {
    splitter_->finish();
  } else {
    take_lines(true);
  }
}

void DocumentReader::decide(bool whole_file) {
  if (!whole_file && buffer_.size() < kHeadBytes) return;
  if (rules_.name != DocumentRules::Name::kOther) {
    // Looked at again when it has doubled, so that a long value costs no more than a few times its length.
    if (!whole_file && buffer_.size() < std::min(look_at_, kJsonHeadBytes)) return;
    if (decide_by_name(whole_file)) {
      look_at_ = 2 * buffer_.size();
      return;
    }
  }
  if (!facts_.json_as_text && may_be_json_lines(whole_file)) {
    if (!whole_file && json_lines_ < kLinesLookedAt && buffer_.size() < kJsonHeadBytes) return;
    if (json_lines_ >= 2) {
      if (rules_.field_was_asked) return read_records(RecordSplitter::Form::kLines);
      facts_.records_as_text = true;
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
  take_whole();
}

// True where no more is to be decided now: the form is known, or more of the file is needed. Else it is text.
bool DocumentReader::decide_by_name(bool whole_file) {
  using Name = DocumentRules::Name;
  using Records = RecordSplitter::Form;
  // What arrived beyond a head must not count: it depends on the chunks.
  const std::string_view head = std::string_view(buffer_).substr(0, kJsonHeadBytes);
  const bool whole_head = whole_file || buffer_.size() >= kJsonHeadBytes;
  const size_t first = head.find_first_not_of(" \t\r\n");
  const auto records = [&](Records form) {
    read_records(form);
    return true;
  };
  if (first == std::string_view::npos)
    return !whole_head || (rules_.name == Name::kJsonLines && records(Records::kLines));
  const std::string_view text = head.substr(first);
  const bool named_lines = rules_.name == Name::kJsonLines;
  if (text[0] != '{' && text[0] != '[') {
    facts_.json_as_text = !named_lines;
    return named_lines && records(Records::kLines);
  }
  const size_t newline = text.find('\n');
  if (newline == std::string_view::npos && !whole_head) return true;
  const std::string_view line = trimmed(text.substr(0, newline));
  const bool line_is_value = line.front() == '{' ? parser().is_object(line) : first_value(line).size() == line.size();
  const bool more_lines =
      newline != std::string_view::npos && text.find_first_not_of(" \t\r\n", newline) != std::string_view::npos;
  if (newline != std::string_view::npos && !more_lines && !whole_head) return true;
  if (text[0] == '[') {
    if (named_lines) return records(line_is_value && more_lines ? Records::kLines : Records::kArray);
    // A list of anything but objects is no list of records.
    const size_t element = text.find_first_not_of(" \t\r\n", 1);
    if (element == std::string_view::npos && !whole_head) return true;
    if (element != std::string_view::npos && text[element] == '{') return records(Records::kArray);
    facts_.json_as_text = true;
    return false;
  }
  if (line_is_value && (named_lines || more_lines)) return records(Records::kLines);
  // One object, or several, over many lines.
  const std::string_view value = first_value(text);
  if (value.empty() && !whole_head) return true;
  if (named_lines) return records(!value.empty() && parser().is_object(value) ? Records::kValues : Records::kLines);
  const auto found = value.empty() ? RecordParser::Result::kBroken : parser().parse(value);
  if (found == RecordParser::Result::kText || (rules_.field_was_asked && found != RecordParser::Result::kBroken))
    return records(Records::kValues);
  facts_.json_as_text = true;
  return false;
}

void DocumentReader::read_records(RecordSplitter::Form form) {
  form_ = Form::kRecords;
  facts_.is_records = true;
  splitter_ = std::make_unique<RecordSplitter>(
      form, RecordSplitter::Sink{
                .record = [this](std::string_view json, int64_t line) { take_record(json, line); },
                .problem = [this](int64_t line, const std::string& why) { leave_out(facts_.broken, line, why); }});
  splitter_->push(std::exchange(buffer_, {}));
}

void DocumentReader::take_record(std::string_view json, int64_t line) {
  using Result = RecordParser::Result;
  const Result result = parser().parse(json);
  switch (result) {
    case Result::kText:
      ++facts_.records;
      document(parser().text());
      return;
    case Result::kBroken:
      return leave_out(facts_.broken, line, parser().problem());
    case Result::kEmpty:
      return leave_out(facts_.empty, line, parser().problem());
    case Result::kLacking:
    case Result::kNotText:
      break;
  }
  leave_out(result == Result::kLacking ? facts_.lacking : facts_.not_text, line, parser().problem());
  if (facts_.fields.looked_at < kLackingLookedAt) parser().add_fields(facts_.fields);
}

void DocumentReader::take_whole() {
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
    if (!line.empty() && (line.front() != '{' || !parser().is_object(line))) return false;
    json_lines_ += !line.empty();
    line_ = end + 1;
  }
  return true;
}

void DocumentReader::document(std::string_view text) {
  sink_.text(text);
  sink_.end();
}

void DocumentReader::take_lines(bool whole_file) {
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
