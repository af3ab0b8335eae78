// Paths as text that JSON can hold. A name on Linux is any bytes; JSON is UTF-8. A byte that is no UTF-8 becomes U+FFFD
// and two hex digits ("caf\uFFFDE9"), and so do the three bytes of a U+FFFD that a name holds itself: the same path
// comes back. Paths in UTF-8, which nearly all are, stay as they are.
#pragma once

#include <string>
#include <string_view>

#include "base/file_system.h"

namespace flywheel {

std::string path_text(const Path& path);
// The path that path_text() was given. Text that it did not write is taken as it stands.
Path path_of_text(std::string_view text);

// The bytes at the start of `bytes` that are one character in UTF-8; 0: they are none.
size_t utf8_character_bytes(std::string_view bytes);

}  // namespace flywheel
