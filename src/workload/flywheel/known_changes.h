// The changes that the proposer "list" tries where the user gave none.
#pragma once

namespace flywheel::workload {

// TOML of the proposer `list` (docs/how-to-add-a-proposer.md).
const char* known_changes();

}  // namespace flywheel::workload
