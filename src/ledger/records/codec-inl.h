// How a struct's fields become JSON and come back: one function `fields(visitor, record)` per struct serves both ways.
// Included by codec_*.cc only.
#pragma once

#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/json.h"
#include "ledger/records/records.h"
#include "protocol/names.h"

namespace flywheel::ledger::codec {

// A function `fields` that takes one of these visitors beside a record.
struct Writer;
struct Reader;

template <typename T>
concept Named = std::is_enum_v<T>;
template <typename T>
concept Struct = std::is_class_v<T> && requires(Writer& w, T& t) {
  fields(w, t);
};

// ---- values ---------------------------------------------------------------------------------------------------------
// What it is over.
template <typename V>
void units_fields(V& v, std::optional<SampledUnits>& units) {
  std::optional<int64_t> clusters, cut_documents, blocks;
  if (units) clusters = units->clusters, cut_documents = units->cut_documents, blocks = units->blocks;
  v.sparse("clusters", clusters);
  v.sparse("cut_documents", cut_documents);
  v.sparse("blocks", blocks);
  if (clusters) units = SampledUnits{*clusters, cut_documents.value_or(0), blocks.value_or(0)};
}

template <Struct T>
Json to_value(const T& value);
template <typename T>
requires(!Struct<T>) Json to_value(const T& value) {
  if constexpr (Named<T>) {
    return std::string(protocol::name(value));
  } else if constexpr (std::is_same_v<T, protocol::StageName>) {
    return value.text();
  } else {
    return value;
  }
}
template <typename T>
Json to_value(const std::vector<T>& values) {
  Json list = Json::array();
  for (const auto& value : values) list.push_back(to_value(T(value)));
  return list;
}
template <typename T>
Json to_value(const std::map<std::string, T>& values) {
  Json object = Json::object();
  for (const auto& [key, value] : values) object[key] = to_value(value);
  return object;
}

// Where a value stands, for messages.
struct Place {
  const std::string& where;
  std::string field;
  [[noreturn]] void fail(std::string_view expected, const Json& found) const {
    throw_bad_input("{}: field \"{}\": expected {}, found {}", where, field, expected, found.dump());
  }
};

template <Struct T>
void from_value(const Json& json, T& value, const Place& place);

inline void from_value(const Json& json, double& value, const Place& place) {
  if (json.is_null()) {
    value = std::numeric_limits<double>::quiet_NaN();
  } else if (json.is_number()) {
    value = json.get<double>();
  } else {
    place.fail("a number", json);
  }
}
inline void from_value(const Json& json, bool& value, const Place& place) {
  if (!json.is_boolean()) place.fail("true or false", json);
  value = json.get<bool>();
}
inline void from_value(const Json& json, std::string& value, const Place& place) {
  if (!json.is_string()) place.fail("a text", json);
  value = json.get<std::string>();
}
inline void from_value(const Json& json, protocol::StageName& value, const Place& place) {
  if (!json.is_string()) place.fail("a text", json);
  value = protocol::StageName(std::string_view(json.get_ref<const std::string&>()));
}
template <typename T>
requires(std::is_integral_v<T>) void from_value(const Json& json, T& value, const Place& place) {
  if (!json.is_number()) place.fail("a whole number", json);
  value = json.get<T>();
}
template <Named T>
void from_value(const Json& json, T& value, const Place& place) {
  if (!json.is_string()) place.fail("a text", json);
  value = protocol::parse_name<T>(json.get_ref<const std::string&>(), place.where, place.field);
}
template <typename A, typename B>
void from_value(const Json& json, std::pair<A, B>& value, const Place& place) {
  if (!json.is_array() || json.size() != 2) place.fail("a list of 2", json);
  from_value(json[0], value.first, place);
  from_value(json[1], value.second, place);
}
template <typename T, size_t N>
void from_value(const Json& json, std::array<T, N>& value, const Place& place) {
  if (!json.is_array() || json.size() != N) place.fail(fmt::format("a list of {}", N), json);
  for (size_t i = 0; i < N; ++i) from_value(json[i], value[i], place);
}
template <typename T>
void from_value(const Json& json, std::vector<T>& values, const Place& place) {
  if (!json.is_array()) place.fail("a list", json);
  values.clear();
  for (const Json& entry : json) {
    T value{};
    from_value(entry, value, {place.where, fmt::format("{}[{}]", place.field, values.size())});
    values.push_back(std::move(value));
  }
}
template <typename T>
void from_value(const Json& json, std::map<std::string, T>& values, const Place& place) {
  if (!json.is_object()) place.fail("an object", json);
  values.clear();
  for (const auto& [key, entry] : json.items())
    from_value(entry, values[key], {place.where, fmt::format("{}.{}", place.field, key)});
}

// ---- visitors -------------------------------------------------------------------------------------------------------
struct Writer {
  static constexpr bool kWrites = true;
  Json json = Json::object();

  template <typename T>
  void field(const char* name, const T& value) {
    json[name] = to_value(value);
  }
  template <typename T>
  void required(const char* name, const T& value) {
    field(name, value);
  }
  // Null where there is none.
  template <typename T>
  void nullable(const char* name, const std::optional<T>& value) {
    json[name] = value ? to_value(*value) : Json();
  }
  // Left out where there is none.
  template <typename T>
  void sparse(const char* name, const std::optional<T>& value) {
    if (value) field(name, *value);
  }
  // Left out where it is empty (text, list) or false.
  template <typename T>
  void unless_empty(const char* name, const T& value) {
    if (!(value == T{})) field(name, value);
  }
  // A number that is written as a whole one where it is.
  void count(const char* name, double value) {
    if (value == std::floor(value) && std::abs(value) < 9e15)
      json[name] = static_cast<int64_t>(value);
    else
      json[name] = value;
  }
  // A number that is null where it is not finite; read back as `otherwise`.
  void finite(const char* name, double value, double) { json[name] = std::isfinite(value) ? Json(value) : Json(); }
};

struct Reader {
  static constexpr bool kWrites = false;
  const Json& json;
  const std::string& where;
  std::string prefix;

  bool has(const char* name) const { return json.contains(name); }
  template <typename T>
  void field(const char* name, T& value) {
    const auto found = json.find(name);
    if (found == json.end() || (found->is_null() && !std::is_same_v<T, double>)) return;
    from_value(*found, value, {where, prefix + name});
  }
  template <typename T>
  void required(const char* name, T& value) {
    const auto found = json.find(name);
    if (found == json.end()) throw_bad_input("{}: field \"{}\" is missing", where, prefix + name);
    from_value(*found, value, {where, prefix + name});
  }
  template <typename T>
  void nullable(const char* name, std::optional<T>& value) {
    value.reset();
    if (const auto found = json.find(name); found != json.end() && !found->is_null())
      from_value(*found, value.emplace(), {where, prefix + name});
  }
  template <typename T>
  void sparse(const char* name, std::optional<T>& value) {
    value.reset();
    if (const auto found = json.find(name); found != json.end())
      from_value(*found, value.emplace(), {where, prefix + name});
  }
  template <typename T>
  void unless_empty(const char* name, T& value) {
    field(name, value);
  }
  void count(const char* name, double& value) {
    if (!json.contains(name) || json.at(name).is_null()) return;
    field(name, value);
  }
  void finite(const char* name, double& value, double otherwise) {
    value = otherwise;
    if (const auto found = json.find(name); found != json.end() && !found->is_null())
      from_value(*found, value, {where, prefix + name});
  }
};

// A sampling error's two fields. Without degrees of freedom, as in ledgers of older versions: those of a normal.
template <typename V>
void sampling_fields(V& v, std::optional<ClusterError>& error) {
  std::optional<double> sd, degrees;
  if (error) {
    sd = error->sd;
    if (std::isfinite(error->degrees)) degrees = error->degrees;
  }
  v.sparse("sampling_sd", sd);
  v.sparse("sampling_degrees", degrees);
  if (sd) error = ClusterError{.sd = *sd, .degrees = degrees.value_or(ClusterError{}.degrees)};
}

template <Struct T>
Json to_value(const T& value) {
  Writer writer;
  fields(writer, const_cast<T&>(value));  // a writer changes nothing
  return std::move(writer.json);
}
template <Struct T>
void from_value(const Json& json, T& value, const Place& place) {
  if (!json.is_object()) place.fail("an object", json);
  Reader reader{json, place.where, place.field.empty() ? "" : place.field + "."};
  fields(reader, value);
}

}  // namespace flywheel::ledger::codec

namespace flywheel::ledger {

template <typename R>
Json Codec<R>::to_json(const R& record) {
  constexpr RecordKind kKind = kKindOf<R>;
  Json json = codec::to_value(record);
  if constexpr (kKind.numbered) {
    json[std::string(kKind.tag_field)] = fmt::format("{}{}", kKind.tag, record.number);
  } else if (!kKind.tag_field.empty()) {
    json[std::string(kKind.tag_field)] = std::string(kKind.tag);
  }
  return json;
}

template <typename R>
R Codec<R>::from_json(const Json& payload, const std::string& where) {
  constexpr RecordKind kKind = kKindOf<R>;
  R record{};
  const std::string place = fmt::format("{}: {} record", where, kKind.kind);
  codec::from_value(payload, record, {place, ""});
  if constexpr (kKind.numbered) {
    std::string text;
    codec::Reader{payload, place, ""}.required(std::string(kKind.tag_field).c_str(), text);
    record.number = std::atoi(text.substr(std::min(text.size(), kKind.tag.size())).c_str());
  }
  return record;
}

template <typename R>
std::string Codec<R>::encode(const R& record) {
  return canonical_json(to_json(record));
}

template <typename R>
R Codec<R>::decode(std::string_view payload, const std::string& where) {
  return from_json(parse_json(payload, where), where);
}

}  // namespace flywheel::ledger
