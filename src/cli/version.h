// What this program is: its version, the commit that it was built from, and what of this machine it uses.
#pragma once

#include <string>

namespace flywheel::cli {

std::string version_text();  // some lines of text
std::string version_json();  // one JSON object

}  // namespace flywheel::cli
