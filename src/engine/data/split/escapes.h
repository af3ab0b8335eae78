// Escapes \uXXXX, which writers of JSON put for letters beyond ASCII, read as the UTF-8 text that they stand for, so
// that a text and its escaped copy are compared as one, and by as many letters.
#pragma once

#include <string>
#include <string_view>

namespace flywheel::data {

// Takes a document in any chunks; the result does not depend on them. Two escapes of a surrogate pair are one
// character; what is no character stays as it is, half a pair say, and so does a backslash before an escape.
class EscapeReader {
 public:
  // The text with its escapes read, valid until the next call: the very same bytes where it holds none. What it ends
  // with is held back where more of an escape may follow, unless this is the document's last chunk.
  std::string_view read(std::string_view text, bool last);

 private:
  std::string held_, joined_, read_;
};

}  // namespace flywheel::data
