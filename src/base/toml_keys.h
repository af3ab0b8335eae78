// What the TOML library does not bound: keys of very many parts exhaust its stack (values in each other it bounds).
#pragma once

#include <string>
#include <string_view>

namespace flywheel {

inline constexpr int kMostTomlKeyParts = 64;

// Call before parsing. Throws kBadInput with the line where a name like a.b.c has more parts than that; quoted text and
// comments aside.
void refuse_deep_toml_keys(std::string_view text, const std::string& where);

}  // namespace flywheel
