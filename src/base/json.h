// JSON with errors that name the file and the field.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json_fwd.h"

namespace flywheel {

// Parses text; throws kBadInput naming `where` with the byte position of the mistake.
Json parse_json(std::string_view text, const std::string& where);

// One line, keys sorted, no spaces; numbers in shortest round-trip form.
std::string canonical_json(const Json& value);

// The field as T; throws kBadInput that names `where` and the field when it is missing or of another type.
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

}  // namespace flywheel
