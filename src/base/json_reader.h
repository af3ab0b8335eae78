// Strict reading of one JSON object: wrong types, values out of range and unknown fields become errors that name the
// source, the field, what was expected and what was found. Why: nlohmann's own conversions let 3.7 pass as an int.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_fwd.h"

namespace flywheel {

// The known name that `name` most likely meant; empty when nothing is near.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

// The values of one JSON object in their order: keys of nested objects joined by dots, numbers as they stand, null as
// empty text; lists are left out. What is wrong with the text, else empty; never throws for a text.
std::string flat_json(std::string_view object, std::vector<std::pair<std::string, std::string>>& values);

// Keeps references: the object must outlive it. Not thread safe.
class JsonReader {
 public:
  // `prefix` is put before field names in messages ("size.").
  JsonReader(const Json& object, std::string where, std::string prefix = "");

  bool has(const char* field) const;  // present and not null
  int64_t integer(const char* field, int64_t low, int64_t high);
  uint64_t unsigned_integer(const char* field);
  double real(const char* field, double low, double high);
  std::string text(const char* field);
  bool boolean(const char* field);
  const Json& object(const char* field);
  const Json& array(const char* field);

  // Call last: throws on a field that was never asked for, with the nearest name that was.
  void refuse_unknown() const;
  [[noreturn]] void fail(const char* field, std::string_view expected) const;

 private:
  const Json& at(const char* field, std::string_view expected);

  const Json& object_;
  std::string where_, prefix_;
  mutable std::set<std::string> asked_;
};

}  // namespace flywheel
