// JSON with errors that name the file and the field.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json_fwd.h"

namespace flywheel {

// The one way from text to JSON. Refused besides what the grammar does not allow: more than kMostJsonDepth arrays and
// objects in each other (values that deep exhaust the stack of whoever copies or writes them) and numbers that no
// double holds. Throws kBadInput naming `where`, the line and the byte of the mistake.
inline constexpr int kMostJsonDepth = 256;
Json parse_json(std::string_view text, const std::string& where);
// The same; empty where it would throw.
std::optional<Json> parse_json_or_none(std::string_view text);

// One line for programs, keys in their order: bytes that are no UTF-8 (a cell of a table, a path) become the
// replacement character, since an answer must not fail for what a name holds.
std::string json_line(const OrderedJson& value);

// One line, keys sorted, no spaces; numbers in shortest round-trip form.
std::string canonical_json(const Json& value);

// The field as T; throws kBadInput that names `where` and the field when it is missing or of another type. json.cc
// lists the types: each is compiled once, not in every file that reads one.
template <typename T>
T json_field(const Json& object, const char* field, const std::string& where);

// The same, and `fallback` where it is missing or null.
template <typename T>
T json_field_or(const Json& object, const char* field, T fallback, const std::string& where);

}  // namespace flywheel
