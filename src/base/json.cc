#include "base/json.h"

#include <cstdint>
#include <vector>

namespace flywheel {

Json parse_json(std::string_view text, const std::string& where) {
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& e) {
    throw_bad_input(
        "{}: not valid JSON at byte {}: expected one complete JSON value. The file is cut short or damaged.", where,
        e.byte);
  }
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
