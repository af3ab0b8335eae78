// What the commands about the program itself print: completion of shells and the man page, made from the declared
// arguments.
#pragma once

#include <string>

#include "cli/arguments.h"

namespace flywheel::cli {

// A script that completes commands, options, choices, files and labs. `shell`: bash, zsh or fish.
std::string completion_script(const CommandFacts& program, const std::string& shell);

// flywheel(1) as troff.
std::string man_page(const CommandFacts& program, const std::string& version);

}  // namespace flywheel::cli
