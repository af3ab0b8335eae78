// A file of records, in any pieces, to its records one after the other: lines, the elements of one JSON array, or JSON
// values that stand behind each other. Held in memory is one record.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace flywheel::data {

inline constexpr size_t kMostRecordBytes = 256 << 20;

class RecordSplitter {
 public:
  enum class Form { kLines, kArray, kValues };
  struct Sink {
    std::function<void(std::string_view json, int64_t line)> record;    // the line that it begins on, from 1
    std::function<void(int64_t line, const std::string& why)> problem;  // in place of a record, or of the whole
  };
  RecordSplitter(Form form, Sink sink) : form_(form), sink_(std::move(sink)) {}
  void push(std::string_view bytes);
  void finish();

 private:
  void push_lines(std::string_view bytes);
  void push_values(std::string_view bytes);
  void keep(std::string_view part);
  void end(std::string_view part);

  const Form form_;
  const Sink sink_;
  std::string begun_;  // of the record that is not complete
  bool too_long_ = false;
  int64_t line_ = 1, record_line_ = 1;
  // Of arrays and values.
  bool in_value_ = false, in_string_ = false, escaped_ = false, opened_ = false, closed_ = false, told_ = false;
  int64_t depth_ = 0;
};

}  // namespace flywheel::data
