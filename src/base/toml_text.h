// What the TOML library takes and should not: keys of very many parts exhaust its stack (values in each other it
// bounds), and some letters in a name without quotes lead to code that it calls unreachable.
#pragma once

#include <string>
#include <string_view>

namespace flywheel {

inline constexpr int kMostTomlKeyParts = 64;

// Call before parsing. Throws kBadInput with the line where a name like a.b.c has more parts than that or where, quoted
// text and comments aside, there is anything but ASCII, as TOML says.
void check_toml_text(std::string_view text, const std::string& where);

}  // namespace flywheel
