// Lines of the studies' text.
#pragma once

#include <fmt/format.h>

#include <string>

#include "base/format.h"

namespace flywheel::cli {

// `text` on stdout, `indent` blanks before it, in lines of 80 columns; those after the first stand 2 further in.
inline void print_line(int indent, const std::string& text) {
  constexpr int kColumns = 80;
  const std::string body = wrapped(std::string(static_cast<size_t>(indent), 'x') + text, kColumns, indent + 2);
  fmt::print("{:{}}{}\n", "", indent, body.substr(static_cast<size_t>(indent)));
}

}  // namespace flywheel::cli
