// The labelled lines of a lab's text, 80 columns wide.
#pragma once

#include <fmt/format.h>

#include <string>

#include "base/format.h"

namespace flywheel::report {

inline constexpr int kColumns = 80, kIndent = 14;

// One labelled line; further lines of the text stand below its first word.
inline std::string row(const std::string& label, const std::string& text) {
  std::string line = fmt::format("  {:<{}}", label, kIndent - 2);
  const std::string body = wrapped(std::string(kIndent, 'x') + text, kColumns, kIndent);  // x: room for the label
  return line + body.substr(kIndent) + "\n";
}
// A sentence as lines of the same width; what follows its first line begins with `indent` blanks.
inline void print_folded(const std::string& sentence, int indent = 2) {
  fmt::print("{}\n", wrapped(sentence, kColumns, indent));
}
inline std::string row_below(const std::string& text) {
  return row("", text);
}

}  // namespace flywheel::report
