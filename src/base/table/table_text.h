// The bytes of a table as people have them, as UTF-8 with plain line ends. Pure.
#pragma once

#include <string>
#include <string_view>

namespace flywheel {

// Takes UTF-8 and UTF-16 of either byte order, with or without a byte order mark; a line ends in LF, CRLF or CR. Bytes
// that are no UTF-8 stay as they are. Throws kBadInput naming `where` for what is no text: a NUL byte, UTF-32.
std::string table_text(std::string_view bytes, const std::string& where);

// White space at both ends, that of other scripts and the invisible kinds included, taken off.
std::string_view without_blanks(std::string_view cell);

// Full-width forms as ASCII, every kind of blank as a blank, the minus of typography as "-".
std::string with_plain_characters(std::string_view text);

// What a message shows of a cell: one line, no control characters, at most so many bytes.
std::string shown_cell(std::string_view cell, size_t most = 40);

}  // namespace flywheel
