// What this program is: its version, the commit that it was built from, and what of this machine it uses.
#pragma once

#include <string>

namespace flywheel::cli {

std::string program_version();  // "0.1.0 (commit 0123456789ab)", as records name it
std::string version_text();     // some lines of text
std::string version_json();     // one JSON object

}  // namespace flywheel::cli
