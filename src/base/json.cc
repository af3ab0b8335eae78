#include "base/json.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace flywheel {

namespace {

// Where the text opens one array or object too many; npos: nowhere.
size_t too_deep_at(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMostJsonDepth) return i;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return std::string_view::npos;
}

std::string place(std::string_view text, size_t byte, const std::string& where) {
  const auto line =
      1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(std::min(byte, text.size())), '\n');
  return fmt::format("{}: line {}, byte {}", where, line, byte);
}

// Where the text has this number.
size_t find_number(std::string_view text, std::string_view message) {
  const size_t begin = message.find('\''), end = message.rfind('\'');
  if (begin == std::string_view::npos || end <= begin + 1) return 0;
  const size_t at = text.find(message.substr(begin + 1, end - begin - 1));
  return at == std::string_view::npos ? 0 : at;
}

}  // namespace

Json parse_json(std::string_view text, const std::string& where) {
  if (const size_t at = too_deep_at(text); at != std::string_view::npos)
    throw_bad_input("{}: expected at most {} arrays and objects in each other, found more", place(text, at, where),
                    kMostJsonDepth);
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& e) {
    throw_bad_input("{}: not valid JSON: expected one complete JSON value. The file is cut short or damaged.",
                    place(text, e.byte, where));
  } catch (const nlohmann::json::out_of_range& e) {
    throw_bad_input("{}: a number is larger than a double holds (1.8e308)",
                    place(text, find_number(text, e.what()), where));
  }
}

std::optional<Json> parse_json_or_none(std::string_view text) {
  if (too_deep_at(text) != std::string_view::npos) return std::nullopt;
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return std::nullopt;
  return json;
}

std::string json_line(const OrderedJson& value) {
  return value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

std::string canonical_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <typename T>
T json_field(const Json& object, const char* field, const std::string& where) {
  if (!object.is_object() || !object.contains(field)) throw_bad_input("{}: field \"{}\" is missing", where, field);
  try {
    return object.at(field).get<T>();
  } catch (const nlohmann::json::exception& e) {
    throw_bad_input("{}: field \"{}\" has the wrong type: found {}", where, field, object.at(field).dump());
  }
}

template <typename T>
T json_field_or(const Json& object, const char* field, T fallback, const std::string& where) {
  if (!object.is_object() || !object.contains(field) || object.at(field).is_null()) return fallback;
  return json_field<T>(object, field, where);
}

template bool json_field(const Json&, const char*, const std::string&);
template int json_field(const Json&, const char*, const std::string&);
template int64_t json_field(const Json&, const char*, const std::string&);
template uint64_t json_field(const Json&, const char*, const std::string&);
template double json_field(const Json&, const char*, const std::string&);
template std::string json_field(const Json&, const char*, const std::string&);
template Json json_field(const Json&, const char*, const std::string&);
template std::vector<int> json_field(const Json&, const char*, const std::string&);
template std::vector<int64_t> json_field(const Json&, const char*, const std::string&);
template std::vector<double> json_field(const Json&, const char*, const std::string&);
template std::vector<std::string> json_field(const Json&, const char*, const std::string&);

template bool json_field_or(const Json&, const char*, bool, const std::string&);
template int json_field_or(const Json&, const char*, int, const std::string&);
template int64_t json_field_or(const Json&, const char*, int64_t, const std::string&);
template uint64_t json_field_or(const Json&, const char*, uint64_t, const std::string&);
template double json_field_or(const Json&, const char*, double, const std::string&);
template std::string json_field_or(const Json&, const char*, std::string, const std::string&);
template Json json_field_or(const Json&, const char*, Json, const std::string&);
template std::vector<int> json_field_or(const Json&, const char*, std::vector<int>, const std::string&);
template std::vector<int64_t> json_field_or(const Json&, const char*, std::vector<int64_t>, const std::string&);
template std::vector<double> json_field_or(const Json&, const char*, std::vector<double>, const std::string&);
template std::vector<std::string> json_field_or(const Json&, const char*, std::vector<std::string>, const std::string&);

}  // namespace flywheel
