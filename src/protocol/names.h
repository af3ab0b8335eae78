// Names of enumerators: one constexpr table per enumeration, from which text is written, read and offered in messages.
// An enumeration takes part by a function `names(E)` beside it, which returns its table.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace flywheel::protocol {

template <typename E>
struct Named {
  E value;
  std::string_view name;
};

// REQUIRES a value of the table.
template <typename E>
constexpr std::string_view name(E value) {
  for (const Named<E>& row : names(value))
    if (row.value == value) return row.name;
  return "?";
}

// Empty: no enumerator has this name.
template <typename E>
constexpr std::optional<E> find_name(std::string_view text) {
  for (const Named<E>& row : names(E{}))
    if (row.name == text) return row.value;
  return std::nullopt;
}

// All names, for messages: "done, failed or stopped".
template <typename E>
std::string known_names() {
  const auto table = names(E{});
  std::string text;
  for (size_t i = 0; i < table.size(); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : i + 1 == table.size() ? " or " : ", ", table[i].name);
  return text;
}

// Throws kBadInput that names `where`, the field and the known names.
template <typename E>
E parse_name(std::string_view text, std::string_view where, std::string_view field) {
  if (const auto found = find_name<E>(text)) return *found;
  throw_bad_input("{}: field \"{}\": expected {}, found \"{}\"", where, field, known_names<E>(), text);
}

}  // namespace flywheel::protocol
