#include "base/json_reader.h"

#include <algorithm>
#include <cmath>

#include "base/json.h"

namespace flywheel {
namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replace});
    }
  }
  return row[b.size()];
}

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

// Collects the values of an object while it is parsed.
class FlatValues {
 public:
  explicit FlatValues(std::vector<std::pair<std::string, std::string>>& values) : values_(values) {}
  const std::string& wrong() const { return wrong_; }

  bool null() { return take(""); }
  bool boolean(bool value) { return take(value ? "true" : "false"); }
  bool number_integer(int64_t value) { return take(std::to_string(value)); }
  bool number_unsigned(uint64_t value) { return take(std::to_string(value)); }
  bool number_float(double, const std::string& text) { return take(text); }
  bool string(const std::string& value) { return take(value); }
  bool binary(const Json::binary_t&) { return false; }
  bool key(const std::string& name) {
    path_.resize(begins_.back());
    path_ += name;
    return true;
  }
  bool start_object(size_t) {
    constexpr size_t kDeepest = 32;
    if (begins_.size() == kDeepest) {
      wrong_ = "objects are nested more than 32 deep";
      return false;
    }
    if (!begins_.empty()) path_ += '.';
    begins_.push_back(path_.size());
    return true;
  }
  bool end_object() {
    path_.resize(begins_.back());
    begins_.pop_back();
    return true;
  }
  bool start_array(size_t) {
    if (begins_.empty()) {
      wrong_ = "expected an object {..}, found a list";
      return false;
    }
    ++lists_;
    return start_object(0);
  }
  bool end_array() {
    --lists_;
    return end_object();
  }
  bool parse_error(size_t at, const std::string&, const Json::exception& error) {
    wrong_ = error.id == 406 ? fmt::format("a number is too large at byte {} of the object", at)
                             : fmt::format("not valid JSON at byte {} of the object", at);
    return false;
  }

 private:
  bool take(std::string text) {
    if (begins_.empty()) {
      wrong_ = "expected an object {..}, found a single value";
      return false;
    }
    if (lists_ == 0) values_.emplace_back(path_, std::move(text));
    return true;
  }

  std::vector<std::pair<std::string, std::string>>& values_;
  std::string path_, wrong_;
  std::vector<size_t> begins_;  // where the key of each open object begins in the path
  size_t lists_ = 0;
};

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = SIZE_MAX;
  for (const std::string& candidate : known) {
    if (name.size() > 2 * candidate.size() + 8) continue;
    const bool contains = name.size() >= 4 && (candidate.find(name) != std::string::npos);
    const size_t distance = contains ? 1 : edit_distance(name, candidate);
    if (distance < best_distance && distance <= std::max<size_t>(2, candidate.size() / 2))
      best = candidate, best_distance = distance;
  }
  return best;
}

std::string flat_json(std::string_view object, std::vector<std::pair<std::string, std::string>>& values) {
  FlatValues flat(values);
  const bool good = Json::sax_parse(object.begin(), object.end(), &flat);
  return good || !flat.wrong().empty() ? flat.wrong() : "not valid JSON";
}

JsonReader::JsonReader(const Json& object, std::string where, std::string prefix)
    : object_(object), where_(std::move(where)), prefix_(std::move(prefix)) {
  if (!object.is_object())
    throw_bad_input("{}: expected a JSON object{}, found {}", where_, prefix_.empty() ? "" : " for " + prefix_,
                    shown(object));
}

bool JsonReader::has(const char* field) const {
  asked_.insert(field);
  const auto found = object_.find(field);
  return found != object_.end() && !found->is_null();
}

void JsonReader::fail(const char* field, std::string_view expected) const {
  const auto found = object_.find(field);
  throw_bad_input("{}: field \"{}{}\": expected {}, found {}", where_, prefix_, field, expected,
                  found == object_.end() ? "nothing" : shown(*found));
}

const Json& JsonReader::at(const char* field, std::string_view expected) {
  asked_.insert(field);
  const auto found = object_.find(field);
  if (found == object_.end()) fail(field, expected);
  return *found;
}

int64_t JsonReader::integer(const char* field, int64_t low, int64_t high) {
  const std::string expected = fmt::format("a whole number from {} to {}", low, high);
  const Json& value = at(field, expected);
  if (!value.is_number_integer()) fail(field, expected);
  if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) fail(field, expected);
  const int64_t number = value.get<int64_t>();
  if (number < low || number > high) fail(field, expected);
  return number;
}

uint64_t JsonReader::unsigned_integer(const char* field) {
  constexpr std::string_view kExpected = "a whole number from 0 to 2^64 - 1";
  const Json& value = at(field, kExpected);
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  if (!value.is_number_integer() || value.get<int64_t>() < 0) fail(field, kExpected);
  return static_cast<uint64_t>(value.get<int64_t>());
}

double JsonReader::real(const char* field, double low, double high) {
  const std::string expected = fmt::format("a number from {:g} to {:g}", low, high);
  const Json& value = at(field, expected);
  if (!value.is_number()) fail(field, expected);
  const double number = value.get<double>();
  if (!(number >= low && number <= high)) fail(field, expected);
  return number;
}

std::string JsonReader::text(const char* field) {
  const Json& value = at(field, "text");
  if (!value.is_string()) fail(field, "text");
  return value.get<std::string>();
}

bool JsonReader::boolean(const char* field) {
  const Json& value = at(field, "true or false");
  if (!value.is_boolean()) fail(field, "true or false");
  return value.get<bool>();
}

const Json& JsonReader::object(const char* field) {
  const Json& value = at(field, "an object");
  if (!value.is_object()) fail(field, "an object");
  return value;
}

const Json& JsonReader::array(const char* field) {
  const Json& value = at(field, "an array");
  if (!value.is_array()) fail(field, "an array");
  return value;
}

void JsonReader::refuse_unknown() const {
  for (const auto& [name, value] : object_.items()) {
    if (asked_.contains(name)) continue;
    const std::string nearest = nearest_name(name, {asked_.begin(), asked_.end()});
    throw_bad_input("{}: field \"{}\" is unknown{}", where_, prefix_ + name,
                    nearest.empty() ? "" : fmt::format("; did you mean \"{}{}\"?", prefix_, nearest));
  }
}

}  // namespace flywheel
