#include "engine/data/read/records.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace flywheel::data {
namespace {

namespace dom = simdjson::dom;

constexpr size_t kMostNameBytes = 64;  // of a field that is offered
constexpr size_t kMostFields = 64;     // of one record
constexpr int kMostNesting = 4;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// JSON's grammar of numbers, and the three words that Python writes in their place.
bool is_number(std::string_view token) {
  if (token.starts_with('-')) token.remove_prefix(1);
  if (token == "NaN" || token == "Infinity") return true;
  const auto digits = [&] {
    const auto count = static_cast<size_t>(std::find_if_not(token.begin(), token.end(), is_digit) - token.begin());
    token.remove_prefix(count);
    return count > 0;
  };
  const bool leading_zero = token.size() > 1 && token[0] == '0' && is_digit(token[1]);
  if (leading_zero || !digits()) return false;
  if (token.starts_with('.')) {
    token.remove_prefix(1);
    if (!digits()) return false;
  }
  if (token.starts_with('e') || token.starts_with('E')) {
    token.remove_prefix(1);
    if (token.starts_with('+') || token.starts_with('-')) token.remove_prefix(1);
    if (!digits()) return false;
  }
  return token.empty();
}

// The value of \uXXXX where it stands at `i`.
std::optional<unsigned> escaped_unit(std::string_view json, size_t i) {
  if (i + 6 > json.size() || json[i] != '\\' || json[i + 1] != 'u') return {};
  unsigned value = 0;
  const auto [end, error] = std::from_chars(json.data() + i + 2, json.data() + i + 6, value, 16);
  if (error != std::errc() || end != json.data() + i + 6) return {};
  return value;
}

// The same record with 0 for every number, which this program does not read, and U+FFFD for every single surrogate.
std::string repaired(std::string_view json) {
  std::string text(json);
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string) {
      if (c != '\\') {
        in_string = c != '"';
        ++i;
        continue;
      }
      const auto unit = escaped_unit(text, i);
      if (!unit || *unit < 0xd800 || *unit > 0xdfff) {
        i += 2;
        continue;
      }
      const auto next = escaped_unit(text, i + 6);
      if (*unit < 0xdc00 && next && *next >= 0xdc00 && *next <= 0xdfff) {
        i += 12;
      } else {
        text.replace(i + 2, 4, "fffd");
        i += 6;
      }
    } else if (c == '"') {
      in_string = true;
      ++i;
    } else if (is_digit(c) || c == '-' || c == 'N' || c == 'I') {
      const size_t end = std::min(text.find_first_of(",:]}[{\" \t\r\n", i), text.size());
      if (is_number(std::string_view(text).substr(i, end - i))) {
        std::fill(text.begin() + static_cast<ptrdiff_t>(i), text.begin() + static_cast<ptrdiff_t>(end), ' ');
        text[i] = '0';
      }
      i = end;
    } else {
      ++i;
    }
  }
  return text;
}

// Of equal keys the last, as in Python.
bool find_key(dom::object object, std::string_view key, dom::element& value) {
  bool found = false;
  for (const dom::key_value_pair& field : object)
    if (field.key == key) value = field.value, found = true;
  return found;
}

bool find_path(dom::element value, std::string_view path, dom::element& found) {
  if (dom::object object; value.get(object) == simdjson::SUCCESS) {
    if (find_key(object, path, found)) return true;
    const size_t dot = path.find('.');
    dom::element inner;
    return dot != std::string_view::npos && find_key(object, path.substr(0, dot), inner) &&
           find_path(inner, path.substr(dot + 1), found);
  }
  if (dom::array array; value.get(array) == simdjson::SUCCESS) {
    const size_t dot = std::min(path.find('.'), path.size());
    size_t place = 0;
    const auto [end, error] = std::from_chars(path.data(), path.data() + dot, place);
    if (error != std::errc() || end != path.data() + dot) return false;
    dom::element inner;
    if (array.at(place).get(inner) != simdjson::SUCCESS) return false;
    if (dot == path.size()) {
      found = inner;
      return true;
    }
    return find_path(inner, path.substr(dot + 1), found);
  }
  return false;
}

void add_texts(dom::element value, const std::string& name, int nesting, size_t& added, LackingFields& to) {
  if (std::string_view text; value.get(text) == simdjson::SUCCESS) {
    if (name.empty() || added >= kMostFields) return;
    ++added;
    LackingFields::Sum& sum = to.sums[name];
    ++sum.records;
    sum.bytes += static_cast<int64_t>(text.size());
    return;
  }
  dom::object object;
  if (nesting >= kMostNesting || value.get(object) != simdjson::SUCCESS) return;
  for (const dom::key_value_pair& field : object) {
    if (field.key.empty() || name.size() + field.key.size() >= kMostNameBytes) continue;
    add_texts(field.value, name.empty() ? std::string(field.key) : fmt::format("{}.{}", name, field.key), nesting + 1,
              added, to);
  }
}

const char* kind_of(dom::element value) {
  switch (value.type()) {
    case dom::element_type::ARRAY:
      return "a list";
    case dom::element_type::OBJECT:
      return "an object";
    case dom::element_type::STRING:
      return "a string";
    case dom::element_type::BOOL:
      return "true or false";
    case dom::element_type::NULL_VALUE:
      return "null";
    default:
      return "a number";
  }
}

}  // namespace

struct RecordParser::Parsed {
  dom::parser parser;
  dom::element value;
};

RecordParser::RecordParser(std::string field) : field_(std::move(field)), parsed_(std::make_unique<Parsed>()) {}
RecordParser::~RecordParser() = default;

bool RecordParser::parse_value(std::string_view json) {
  simdjson::error_code error = parsed_->parser.parse(json.data(), json.size(), true).get(parsed_->value);
  if (error == simdjson::SUCCESS) return true;
  if (error != simdjson::UTF8_ERROR && error != simdjson::DEPTH_ERROR && error != simdjson::MEMALLOC &&
      error != simdjson::CAPACITY && error != simdjson::EMPTY) {
    const std::string text = repaired(json);
    error = parsed_->parser.parse(text.data(), text.size(), true).get(parsed_->value);
    if (error == simdjson::SUCCESS) return true;
  }
  problem_ = error == simdjson::DEPTH_ERROR  ? "nested more than 1,024 deep"
             : error == simdjson::UTF8_ERROR ? "not UTF-8"
             : error == simdjson::MEMALLOC   ? "not enough memory for it"
                                             : "not JSON";
  return false;
}

bool RecordParser::is_object(std::string_view json) {
  return parse_value(json) && parsed_->value.is_object();
}

RecordParser::Result RecordParser::parse(std::string_view json) {
  if (!parse_value(json)) return Result::kBroken;
  if (!parsed_->value.is_object()) {
    problem_ = fmt::format("{}, not an object", kind_of(parsed_->value));
    return Result::kBroken;
  }
  dom::element found;
  if (!find_path(parsed_->value, field_, found)) {
    problem_ = fmt::format("no \"{}\"", field_);
    return Result::kLacking;
  }
  if (found.get(text_) != simdjson::SUCCESS) {
    problem_ = fmt::format("\"{}\" is {}", field_, kind_of(found));
    return Result::kNotText;
  }
  if (text_.find_first_not_of(" \t\r\n\f\v") != std::string_view::npos) return Result::kText;
  problem_ = fmt::format("\"{}\" is empty", field_);
  return Result::kEmpty;
}

void RecordParser::add_fields(LackingFields& to) const {
  ++to.looked_at;
  size_t added = 0;
  add_texts(parsed_->value, "", 0, added, to);
}

}  // namespace flywheel::data
