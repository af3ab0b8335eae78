// What the commands that look at a lab share: its ledger, and whether a lab process is alive on it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "ledger/ledger.h"

namespace flywheel::cli {

// The pid of the process that holds LAB/lock; empty: nobody. Writes nothing.
std::optional<std::string> lab_process(const Path& lab);

}  // namespace flywheel::cli
