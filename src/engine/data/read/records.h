// One JSON record and the text in it. Parsed by simdjson; what Python writes and JSON does not know (NaN, numbers
// beyond a double, single surrogates) is read all the same.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace flywheel::data {

// Texts in records that lack the one that was looked for, by the name that --text-field would give them.
struct LackingFields {
  struct Sum {
    int64_t records = 0, bytes = 0;
  };
  int64_t looked_at = 0;  // records
  std::map<std::string, Sum> sums{};
};

// Not thread safe. Memory: a few times the largest record.
class RecordParser {
 public:
  // `field`: a name, or names joined by dots for what is nested; a name that has dots itself comes first. Of a list, a
  // place in it is a name ("messages.0.content").
  explicit RecordParser(std::string field);
  ~RecordParser();
  RecordParser(const RecordParser&) = delete;
  RecordParser& operator=(const RecordParser&) = delete;

  enum class Result { kText, kBroken, kLacking, kNotText, kEmpty };
  Result parse(std::string_view json);
  std::string_view text() const { return text_; }          // of kText, until the next call
  const std::string& problem() const { return problem_; }  // of all others
  // A JSON object, whatever is in it.
  bool is_object(std::string_view json);
  // Adds the texts of the record that was parsed last.
  void add_fields(LackingFields& to) const;

 private:
  struct Parsed;
  bool parse_value(std::string_view json);
  std::string field_, problem_;
  std::string_view text_;
  std::unique_ptr<Parsed> parsed_;
};

}  // namespace flywheel::data
