// Text of others (names of files, runs, recipes and changes) as a terminal may be given it: what would steer the
// terminal or hide what stands there is shown instead of obeyed.
#pragma once

#include <string>
#include <string_view>

namespace flywheel {

// `text` with control characters (C0 but for line end and tab, DEL, C1), marks that turn the direction of writing and
// bytes that are no UTF-8 written as \x1b, \u202e and so on. All other text is unchanged. JSON means the same after it:
// it has none of the characters that become \x.
std::string visible(std::string_view text);

// The same for text that comes in pieces: a character cut by the end of a piece waits for the next one.
class VisibleText {
 public:
  std::string take(std::string_view piece);
  std::string finish();  // what still waits

 private:
  std::string waiting_;
};

}  // namespace flywheel
