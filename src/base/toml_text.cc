#include "base/toml_text.h"

#include "base/error.h"

namespace flywheel {

void check_toml_text(std::string_view text, const std::string& where) {
  int line = 1, dots = 0;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  for (size_t i = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) >= 0x80)
      throw_bad_input(
          "{}: line {}: expected names of letters, digits, \"_\" and \"-\", or in quotes, found another "
          "character",
          where, line);
    if (c == '\n') ++line;
    if (c == '"' || c == '\'') {  // to the end of the text in quotes, or of the line
      const bool block = text.substr(i, 3) == std::string(3, c);
      const std::string_view end = text.substr(i, block ? 3 : 1);
      for (i += end.size(); i < text.size() && text.substr(i, end.size()) != end && (block || text[i] != '\n'); ++i) {
        if (text[i] == '\\' && c == '"') ++i;
        if (i < text.size() && text[i] == '\n') ++line;
      }
      if (i < text.size() && text[i] == '\n') ++line, dots = 0;
      if (block) i += 2;
    } else if (c == '#') {
      while (i + 1 < text.size() && text[i + 1] != '\n') ++i;
    } else if (c == '.') {
      if (++dots >= kMostTomlKeyParts)
        throw_bad_input("{}: line {}: expected a name of at most {} parts, found more", where, line, kMostTomlKeyParts);
    } else if (std::string_view("\n=,{}[]").find(c) != std::string_view::npos) {
      dots = 0;
    }
  }
}

}  // namespace flywheel
