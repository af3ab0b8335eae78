// What the commands that look at a lab share: its ledger, and whether a lab process is alive on it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/arguments.h"
#include "ledger/ledger.h"

namespace flywheel::cli {

// The pid of the process that holds LAB/lock; empty: nobody. Writes nothing.
std::optional<std::string> lab_process(const Path& lab);

// Declares the lab of a command that looks at one: by its place or as --dir.
Option lab_argument(Arguments& arguments, std::string& lab);
// The lab named; without one, `lab` in the working folder, where `flywheel run` makes it, or the working folder itself
// where it is one. Throws kBadInput that says what to do where there is neither.
std::string lab_or_default(const std::string& named);

}  // namespace flywheel::cli
