#include "engine/data/read/record_splitter.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace flywheel::data {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

}  // namespace

void RecordSplitter::push(std::string_view bytes) {
  if (form_ == Form::kLines) {
    push_lines(bytes);
  } else {
    push_values(bytes);
  }
}

void RecordSplitter::finish() {
  if (form_ == Form::kLines || in_value_) end({});
  if (form_ == Form::kArray && !closed_) sink_.problem(line_, "the list of records does not end");
}

void RecordSplitter::keep(std::string_view part) {
  if (too_long_) return;
  if (begun_.size() + part.size() <= kMostRecordBytes) {
    begun_ += part;
    return;
  }
  too_long_ = true;
  begun_ = {};
}

// `part` is the last of the record.
void RecordSplitter::end(std::string_view part) {
  if (too_long_ || begun_.size() + part.size() > kMostRecordBytes) {
    sink_.problem(record_line_, fmt::format("a record of more than {} MiB", kMostRecordBytes >> 20));
  } else {
    if (!begun_.empty()) part = begun_ += part;
    if (!std::all_of(part.begin(), part.end(), is_blank)) sink_.record(part, record_line_);
  }
  too_long_ = false;
  begun_.clear();
}

void RecordSplitter::push_lines(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    if (newline == std::string_view::npos) return keep(bytes);
    end(bytes.substr(0, newline));
    record_line_ = ++line_;
    bytes.remove_prefix(newline + 1);
  }
}

void RecordSplitter::push_values(std::string_view bytes) {
  size_t begin = 0;  // of the value, where it began in these bytes
  const auto finished = [&](size_t end_at) {
    end(bytes.substr(begin, end_at - begin));
    in_value_ = false;
  };
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    line_ += c == '\n';
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
      continue;
    }
    if (!in_value_) {
      if (is_blank(c)) continue;
      if (form_ == Form::kArray) {
        if (!opened_ && c == '[') {
          opened_ = true;
          continue;
        }
        if (closed_) {
          if (!std::exchange(told_, true)) sink_.problem(line_, "there is more behind the end of the list of records");
          continue;
        }
        if (c == ',') continue;
        if (c == ']') {
          closed_ = true;
          continue;
        }
      }
      in_value_ = true;
      begin = i;
      record_line_ = line_;
      depth_ = 0;
    }
    switch (c) {
      case '"':
        in_string_ = true;
        break;
      case '{':
      case '[':
        ++depth_;
        break;
      case '}':
      case ']':
        if (depth_ > 0) {
          // A value that is no list or object ends elsewhere.
          if (--depth_ == 0) finished(i + 1);
        } else if (form_ == Form::kArray && c == ']') {
          finished(i);
          closed_ = true;
        }
        break;
      case ',':
        if (form_ == Form::kArray && depth_ == 0) finished(i);
        break;
      case '\n':
        if (form_ == Form::kValues && depth_ == 0) finished(i);
        break;
      default:
        break;
    }
  }
  if (in_value_) keep(bytes.substr(begin));
}

}  // namespace flywheel::data
